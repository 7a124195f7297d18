"""What every page says about the repository is so: links, files, commands, versions."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from tests.docs.pages import ROOT, Page, all_pages, code_spans, read
from typer.core import TyperGroup

from enginebay_core.plugins import GROUPS
from enginebay_server.cli.app import app

PAGES = list(all_pages())
FOLDERS = ("core", "server", "backends", "plugins", "tests", "docs", "deploy")
NAMED = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]+(?:::\w+)?")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_links_lead_somewhere(page: Page) -> None:
    for target in LINK.findall(page.prose):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.path.parent / file).resolve() if file else page.path
        assert linked.exists(), f"{page.name} links to {target!r}"
        if anchor:
            anchors = read(str(linked.relative_to(ROOT))).anchors
            assert anchor in anchors, f"{page.name} links to {target!r}; there are {anchors}"


@each_page
def test_named_files_and_tests_exist(page: Page) -> None:
    for span in code_spans(page.prose):
        if NAMED.fullmatch(span):
            file, _, test = span.partition("::")
            assert (ROOT / file).exists(), f"{page.name} names {file!r}"
            if test:
                assert f"def {test}(" in (ROOT / file).read_text(), f"{page.name} names {span!r}"


@each_page
def test_commands_exist_with_their_options(page: Page) -> None:
    for words in commands(page, "enginebay"):
        command, rest = resolve(words)
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        asked = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert asked <= {*known, "--help", "--version"}, f"{page.name}: {words}"


@each_page
def test_tasks_exist(page: Page) -> None:
    for words in commands(page, "make"):
        named = {word for word in words if "=" not in word}
        assert named <= tasks(), f"{page.name}: make {words}"


def commands(page: Page, program: str) -> Iterator[list[str]]:
    """The words after ``program`` in each command line, in blocks and in code spans."""
    lines = [line for body in page.blocks("bash", "console", "") for line in body.splitlines()]
    for line in [*lines, *code_spans(page.prose)]:
        found = re.match(rf"(?:\$ )?(?:\.venv/bin/)?{program} (.*)", line.strip())
        if found and not found[1].startswith(("=", "serves", "\\")):
            yield shlex.split(found[1], comments=True)


@functools.cache
def tasks() -> set[str]:
    """What ``dev.py`` can do, by its own help."""
    said = subprocess.run(
        [sys.executable, "dev.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(re.findall(r"^  ([\w-]+)", said.stdout.partition("\ntasks:\n")[2], re.MULTILINE))


def resolve(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words begin with, and the rest of them."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while isinstance(command, TyperGroup) and rest and re.match("[a-z]", rest[0]):
        assert rest[0] in command.commands, f"enginebay has no command {' '.join(words)!r}"
        command = command.commands[rest.pop(0)]
    return command, rest


def test_the_commands_of_the_pages_were_found() -> None:
    """Else the tests above pass for having read nothing."""
    found = {words[0] for page in PAGES for words in commands(page, "enginebay")}
    assert {"serve", "chat", "explain", "plugins", "config"} <= found
    assert {"serve", "demo", "test", "setup"} <= {
        words[0] for page in PAGES for words in commands(page, "make")
    }
    spans = [span for page in PAGES for span in code_spans(page.prose)]
    assert sum(bool(NAMED.fullmatch(span)) for span in spans) > 50


def test_the_way_of_a_request_is_six_files_at_most() -> None:
    way = read("docs/architecture.md").section("## The way of a request")
    assert 3 <= len(re.findall(r"^\| \d \|", way, re.MULTILINE)) <= 6


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    pages = set(re.findall(r"[\w/-]+\.md", navigation))
    docs = ROOT / "docs"
    assert pages == {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}


def test_versions_agree() -> None:
    versions = {}
    for path in [ROOT / "pyproject.toml", *ROOT.glob("*/**/pyproject.toml")]:
        if ".venv" not in path.parts:
            project = tomllib.loads(path.read_text())["project"]
            versions[project["name"]] = project["version"]
    assert len(versions) >= 6
    assert len(set(versions.values())) == 1, versions
    assert f"\n## [{versions['enginebay']}]" in read("CHANGELOG.md").text


def test_the_groups_of_entry_points_are_those_promised() -> None:
    promised = re.findall(
        r"enginebay\.\w+\.v\d", read("docs/stability.md").section("## What is public")
    )
    assert set(promised) == set(GROUPS)
