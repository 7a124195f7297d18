"""``key=value`` on the command line."""

import re

import pytest
import typer

from enginebay_server.cli.arguments import parse_pairs


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("a=1", {"a": 1}),
        ("a=0.5", {"a": 0.5}),
        ("a=true", {"a": True}),
        ("a=text", {"a": "text"}),
        ("a=127.0.0.1", {"a": "127.0.0.1"}),
        ("a=", {"a": ""}),
        ('a="1"', {"a": "1"}),
        ("a=x=y", {"a": "x=y"}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ("a={ b = 1 }", {"a": {"b": 1}}),
        ("server.port=1", {"server": {"port": 1}}),
        ('models."q.5".model=m', {"models": {"q.5": {"model": "m"}}}),
    ],
)
def test_values_are_toml_or_else_text(pair: str, expected: object) -> None:
    assert parse_pairs([pair], "--set") == expected


def test_pairs_add_up_and_the_last_wins() -> None:
    pairs = ["server.port=1", "server.host=h", "server.port=2"]
    assert parse_pairs(pairs, "--set") == {"server": {"port": 2, "host": "h"}}


@pytest.mark.parametrize("pair", ["port", "=1", "a b=1", "a..b=1"])
def test_what_is_no_pair_is_named(pair: str) -> None:
    with pytest.raises(typer.BadParameter, match=re.escape(repr(pair))):
        parse_pairs([pair], "--set")
