"""What the pages show was really seen: snippets run, output is what comes out."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.docs.pages import ROOT, Page, read

from enginebay_server.welcome import welcome

README = read("README.md")
WALK = read("docs/how-a-chat-model-answers.md")
HERE = "http://127.0.0.1:8000/v1"


@dataclass(frozen=True)
class Served:
    """``welcome`` is what the server printed."""

    url: str
    welcome: str


def environment(**more: str) -> dict[str, str]:
    """Nothing of the tester's own config; one thread, which small models are quickest with."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ENGINEBAY_")}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1", **more}


def run(*command: str, **more: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(**more), timeout=150
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``enginebay serve`` as the README says it, on a free port."""
    server = subprocess.Popen(
        [sys.executable, "-m", "enginebay_server", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=tmp_path_factory.mktemp("nowhere"),  # where no enginebay.toml lies
    )
    try:
        assert server.stdout is not None
        printed = "".join(iter(server.stdout.readline, "Ctrl-C stops it.\n"))
        url = re.findall(r"at (\S+)", printed)[0]
        wait_ready(url)
        yield Served(url, printed)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
        server.communicate()


def wait_ready(url: str) -> None:
    ends = time.monotonic() + 60
    while httpx.get(url.removesuffix("v1") + "health").status_code != 200:
        assert time.monotonic() < ends, "the server did not become ready"
        time.sleep(0.1)


def test_the_welcome_shown_is_the_welcome(served: Served) -> None:
    [shown] = [body for body in README.blocks("") if "serves the OpenAI API" in body]
    assert welcome(HERE, ["pocket"], needs_key=False).startswith(shown)
    here, there = HERE.removesuffix("v1"), served.url.removesuffix("v1")
    assert served.welcome.startswith(shown.replace(here, there))


def test_the_size_said_is_what_set_up_says() -> None:
    [size] = re.findall(r"for `make serve` (about \d+ MB)", README.text)
    assert re.search(rf'"server": Profile\(\s*"{size}"', (ROOT / "dev.py").read_text())


def test_the_demo_shown_is_the_demo() -> None:
    """After ``make pocket`` its answer has to be renewed on the page."""
    demo = ROOT / "docs" / "examples" / "demo.py"
    merged = "import subprocess, sys; subprocess.run([sys.executable, sys.argv[1]], stderr=1)"
    printed = run(sys.executable, "-c", merged, str(demo))
    [shown] = [body for body in README.blocks("") if "assistant: " in body]
    assert shown in printed, printed
    assert "POST" not in printed, "the server's log stands amid the answers"


def test_the_sdk_snippet_prints_an_answer(served: Served) -> None:
    [snippet] = [body for body in README.blocks("python") if "OpenAI(" in body]
    said = run(sys.executable, "-c", snippet.replace(HERE, served.url))
    assert "EngineBay" in said or "Pocket" in said, said


@pytest.mark.parametrize("page", [README, WALK], ids=lambda page: page.name)
def test_the_curls_are_answered(served: Served, page: Page) -> None:
    text = "\n".join(page.blocks("bash", ""))
    found = re.findall(r"^curl (?:-N )?(\S+).*?-d '(.*?)'$", text, re.DOTALL | re.MULTILINE)
    assert found
    for url, body in found:
        answer = httpx.post(url.replace(HERE, served.url), json=json.loads(body), timeout=60)
        assert answer.status_code == 200, answer.text
        assert "x-enginebay-ignored" not in answer.headers


def test_thinking_is_shown_when_asked_for(served: Served) -> None:
    """The page says that this request shows a model that thinks."""
    [body] = re.findall(r"-d '(\{[^']*enable_thinking[^']*)'", WALK.text)
    message = httpx.post(f"{served.url}/chat/completions", json=json.loads(body), timeout=60)
    assert message.json()["choices"][0]["message"]["reasoning_content"]


def test_explain_prints_what_the_page_shows() -> None:
    """After ``make pocket`` the excerpts have to be renewed: ids and chances are the model's."""
    printed = run(sys.executable, "-m", "enginebay_server", "explain", "你好")
    lines = {line.rstrip() for line in printed.splitlines()}
    blocks = WALK.blocks("console")
    assert len(blocks) >= 6
    for block in blocks:
        command, *shown = block.splitlines()
        assert command == '$ enginebay explain "你好"'
        missing = [line for line in shown if line.rstrip() not in lines]
        assert not missing, f"not printed: {missing}\nprinted:\n{printed}"


def files_of_the_readme() -> dict[str, str]:
    """The blocks that begin with a comment that is nothing but a file's name."""
    named = re.compile(r"# ([\w.]+)\n(.*)", re.DOTALL)
    found = [named.match(body) for body in README.blocks("python", "toml")]
    return {match[1]: match[2] for match in found if match}


def test_the_engine_has_40_lines() -> None:
    engine = files_of_the_readme()["enginebay_markov.py"]
    assert sum(bool(line.strip()) for line in engine.splitlines()) <= 40


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_engine_of_the_readme_is_proved(tmp_path: Path) -> None:
    """Built as its pyproject.toml says, and shown the way the README does, on one page: the
    engine reads all of its text for each token.
    """
    for name, body in files_of_the_readme().items():
        (tmp_path / name).write_text(body)
    build = ("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path))
    run(sys.executable, "-m", "pip", *build, str(tmp_path))
    [wheel] = tmp_path.glob("enginebay_markov-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    path = os.pathsep.join([str(tmp_path / "installed"), os.environ.get("PYTHONPATH", "")])
    text = tmp_path / "text"
    text.mkdir()
    shutil.copy(ROOT / "README.md", text)
    check = ("plugins", "check", "markov", "--model", str(text))
    report = run(sys.executable, "-m", "enginebay_server", *check, PYTHONPATH=path)
    [ending] = re.findall(r"ends in `(.*?)`", README.text)
    assert ending in report, report
