"""The process that tries grammars: answers each line with a line, until there are no more."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from typing import Any, Final

from enginebay_core.api import RequestError
from enginebay_core.grammar.guidance import Guidance
from enginebay_core.grammar.trial import read, say
from enginebay_core.grammar.vocabulary import Vocabulary

MEMORY: Final = 4 * 2**30
"""Bytes of address space that the process may have."""


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the server's alone
    known = json.loads(sys.stdin.readline())
    tokens = tuple([token.encode("latin-1") for token in known["tokens"]])
    guidance = Guidance(Vocabulary(tokens, frozenset(known["control"])))
    say(sys.stdout, {})
    for line in sys.stdin:
        asked = json.loads(line)
        limit(asked["seconds"])
        say(sys.stdout, attempt(guidance, asked))


def attempt(guidance: Guidance, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        guidance.compile(read(asked["rule"]), after_thinking=asked["thinking"])
    except RequestError as error:
        return {"fault": str(error), "param": error.param}
    return {}


def limit(seconds: float) -> None:
    """The kernel ends what goes on, even if nobody is left to do it."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - of Unix

    for kind, most in (
        (resource.RLIMIT_CPU, math.ceil(time.process_time() + 2 * seconds) + 1),
        (resource.RLIMIT_AS, MEMORY),
    ):
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


if __name__ == "__main__":
    main()
