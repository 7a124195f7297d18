"""Bodies as JSON."""

from __future__ import annotations

import json
from typing import Any

from enginebay_server.frames import dumps, dumps_large

DEEP: Any = [[[[[[[[[{"a": [1.5, None]}]]]]]]]]]
BODY: Any = {"a b": [{"c": ["\u2028", 1, {}, []]}, {}], "d": DEEP, "e": None, "f": True, "ü": "é"}


def test_bit_by_bit_is_the_same() -> None:
    assert dumps_large(BODY) == dumps(BODY)
    assert json.loads(dumps_large(BODY)) == BODY
