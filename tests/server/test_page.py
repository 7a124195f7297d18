"""The page at ``/``: as markup, and in a real browser where there is one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from html.parser import HTMLParser

import pytest
from tests.server.browser import PROGRAMS, Tab, browsing, find_browser
from tests.server.conftest import TOY, Config, Running, running

from enginebay_server.explain import Candidate, Chosen, Way
from enginebay_server.page import read_page

LINE = "EngineBay serves the OpenAI API at"


class Markup(HTMLParser):
    """What is in the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labelled: set[str | None] = set()
        self.controls: list[dict[str, str | None]] = []
        self.links: list[str | None] = []
        self._in_label = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._in_label += tag == "label"
        if found.get("id"):
            self.ids.append(found["id"] or "")
        if tag == "label" and found.get("for"):
            self.labelled.add(found["for"])
        if tag in ("input", "select", "textarea"):
            self.controls.append(found)
            if self._in_label:
                self.labelled.add(found.get("id"))
        self.links += [found[name] for name in ("href", "src", "action") if name in found]

    def handle_endtag(self, tag: str) -> None:
        self._in_label -= tag == "label"


def test_a_terminal_gets_text_and_a_browser_a_page(toys: Running) -> None:
    text = toys.http.get(toys.root + "/", headers={"Accept": "*/*"})
    page = toys.http.get(toys.root + "/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert text.headers["content-type"].startswith("text/plain")
    assert page.headers["content-type"].startswith("text/html")
    assert text.text.startswith(LINE)
    assert LINE in page.text
    assert {answer.headers["vary"] for answer in (text, page)} == {"Accept"}


def test_the_page_needs_the_key_like_all_else(start: Callable[[Config], Running]) -> None:
    server = start({"server": {"api_key": "sesame-sesame"}, "models": {"toy": TOY}})
    refused = server.http.get(server.root + "/", headers={"Accept": "text/html"})
    assert refused.status_code == 401
    assert LINE not in refused.text


def test_it_has_no_dependency_and_a_label_for_each_control() -> None:
    page = read_page()
    markup = Markup(page.html("<welcome & more>"))
    assert markup.links == ["data:,"], "something is fetched from elsewhere"
    assert "http" not in page.script + page.style
    assert len(set(markup.ids)) == len(markup.ids)
    assert {control.get("id") for control in markup.controls} <= markup.labelled
    assert set(re.findall(r'\$\("(\w+)"\)', page.script)) <= set(markup.ids)
    assert "&lt;welcome &amp; more&gt;" in page.html("<welcome & more>")


def test_its_script_reads_what_the_server_tells(toys: Running) -> None:
    script = read_page().script
    paths = set(toys.http.get(toys.root + "/openapi.json").json()["paths"])
    called = {path.rstrip("/") for path in re.findall(r'call\("([\w/]+)"', script)}
    assert called == {"v1/models", "v1/chat/completions", "explain"}
    assert {f"/{path}" for path in called} <= paths
    assert set(re.findall(r"\bway\.(\w+)", script)) <= {field.name for field in fields(Way)}
    told = {field.name for kind in (Candidate, Chosen) for field in fields(kind)}
    assert set(re.findall(r"\btoken\.(\w+)", script)) <= told | {"ids"}


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    program = find_browser()
    if program is None:
        pytest.skip(f"no browser is installed ({', '.join(PROGRAMS)})")
    with browsing(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def pocket() -> Iterator[Running]:
    slow = {**TOY, "options": {"step_seconds": 0.05}}
    models = {"pocket": {"backend": "numpy", "model": "pocket"}, "slow": slow}
    with running({"models": models}) as server:
        yield server


def choose(tab: Tab, model: str) -> None:
    tab.until("$('model').options.length === 2")
    tab.run(f"$('model').value = '{model}'; $('model').dispatchEvent(new Event('change'))")
    tab.until(f"model?.id === '{model}' && !$('send').disabled")


def say(tab: Tab, text: str) -> None:
    tab.run(f"$('message').value = {text!r}; $('form').requestSubmit()")


def answers(tab: Tab) -> list[str]:
    found: list[str] = tab.run(
        "[...document.querySelectorAll('article:not(.user) > p')].map(p => p.textContent)"
    )
    return found


@pytest.mark.environments
class TestInABrowser:
    def test_chat_and_explain(self, tab: Tab, pocket: Running) -> None:
        tab.open(pocket.root + "/")
        choose(tab, "pocket")
        assert "numpy" in tab.run("$('about').textContent")
        tab.run("$('temperature').value = '0'; $('thinking').value = 'on'")
        say(tab, "What is EngineBay?")
        tab.until("!running && !!document.querySelector('article:not(.user) > details:last-child')")
        [answer] = answers(tab)
        assert answer.startswith("EngineBay is one OpenAI-compatible API")
        assert "The user asks" in tab.run("document.querySelector('.thinking').textContent")
        assert re.search(r"\d+ tokens · .*tokens/s · context \d+ of 2048", tab.run(LOG))
        tab.run("document.querySelector('article:not(.user) > details:last-child').open = true")
        tab.until("document.querySelectorAll('article h3').length === 6")
        shown = tab.run(LOG)
        assert "The same request with the same seed" in shown
        assert "<|im_start|>user" in shown
        assert re.search(r"4094\s+<think>", shown), "the tag, by its id"
        assert "cut at " in shown
        assert "data: [DONE]" in shown
        assert tab.complaints == []

    def test_the_next_turn_knows_the_last(self, tab: Tab, pocket: Running) -> None:
        tab.open(pocket.root + "/")
        choose(tab, "pocket")
        tab.run("$('temperature').value = '0'")
        for count, text in enumerate(["你好!", "谢谢,再见"], 1):
            say(tab, text)
            tab.until(f"!running && turns.length === {2 * count}")
        assert tab.run("turns.map(turn => turn.role)") == ["user", "assistant"] * 2
        assert answers(tab)[-1] == tab.run("turns.at(-1).content") != ""
        tab.run("$('anew').click()")
        assert (tab.run("turns.length"), answers(tab)) == (0, [])

    def test_stop_ends_the_answer_here_and_there(self, tab: Tab, pocket: Running) -> None:
        tab.open(pocket.root + "/")
        choose(tab, "slow")
        say(tab, "go on and on")
        tab.until("document.querySelector('article:not(.user) > p')?.textContent.length > 3")
        tab.run("$('stop').click()")
        tab.until("!running")
        assert "stopped" in tab.run(LOG)
        assert tab.run("turns.at(-1).content") == answers(tab)[0]
        pocket.wait_idle("slow", 2)

    def test_a_refusal_is_shown_and_the_question_kept(self, tab: Tab, pocket: Running) -> None:
        tab.open(pocket.root + "/")
        choose(tab, "pocket")
        tab.run("$('longest').value = '99999'")
        say(tab, "<b>Hello</b>")
        tab.until("!running && !!document.querySelector('.error')")
        assert "context is 2048 tokens" in tab.run("document.querySelector('.error').textContent")
        assert tab.run("document.querySelector('article.user p').innerHTML").startswith("&lt;b&gt;")
        assert tab.run("[turns.length, $('message').value]") == [0, "<b>Hello</b>"]


LOG = "document.querySelector('#log').innerText"
