"""Compiles a grammar first in a process that can be killed, ``python -m enginebay_core.grammar``.

Native code cannot be stopped in a thread, and some schemas of a few lines take it minutes, or
memory without end. What has passed here is compiled once more where it is used.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from contextlib import suppress
from typing import IO, Any, Final

from enginebay_core.api import RequestError, Rule
from enginebay_core.grammar.guidance import unusable
from enginebay_core.grammar.schema import json_rules
from enginebay_core.grammar.vocabulary import Vocabulary

START_SECONDS: Final = 60.0


class Trial:
    """Used by one thread at a time. The process starts with the first grammar, and again after
    one that it did not survive.
    """

    def __init__(self, vocabulary: Vocabulary, seconds: float) -> None:
        self._vocabulary = vocabulary
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None

    def run(self, rule: Rule, *, after_thinking: bool) -> None:
        """Blocks. Raises RequestError naming the schema that cannot be compiled, or not in time."""
        process = self._process or self._start()
        asked = {"rule": written(rule), "thinking": after_thinking, "seconds": self._seconds}
        with suppress(BrokenPipeError):
            say(process.stdin, asked)
        answer = hear(process.stdout, self._seconds)
        if answer is None:
            self.close()
            place = next((part.place for part in json_rules(rule)), "")
            limit = f"it takes more than {self._seconds:g} s, or too much memory; simplify it"
            raise unusable(place, limit)
        if "fault" in answer:
            raise RequestError(answer["fault"], param=answer["param"])

    def kill(self) -> None:
        """From any thread: what runs ends as if it had taken too long."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """While nobody uses it; safe to repeat."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def _start(self) -> subprocess.Popen[str]:
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", "-m", "enginebay_core.grammar"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        tokens = [token.decode("latin-1") for token in self._vocabulary.tokens]
        say(process.stdin, {"tokens": tokens, "control": sorted(self._vocabulary.control)})
        if hear(process.stdout, START_SECONDS) is None:
            self.close()
            raise RuntimeError("the process that tries grammars did not start")
        return process


def say(pipe: IO[str] | None, message: dict[str, Any]) -> None:
    assert pipe is not None
    pipe.write(json.dumps(message) + "\n")
    pipe.flush()


def hear(pipe: IO[str] | None, seconds: float) -> dict[str, Any] | None:
    """The next message; None when it does not come in time, or at all."""
    assert pipe is not None
    if not select.select([pipe], [], [], seconds)[0]:
        return None
    line = pipe.readline()
    message: dict[str, Any] | None = json.loads(line) if line.endswith("\n") else None
    return message


def written(rule: Rule) -> list[Any]:
    return [rule.kind, rule.text, rule.token, [written(part) for part in rule.parts], rule.place]


def read(fields: list[Any]) -> Rule:
    kind, text, token, parts, place = fields
    return Rule(kind, text, token, tuple([read(part) for part in parts]), place)
