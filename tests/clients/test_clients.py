"""The clients of ``docs/clients``, each in an environment of its own, against a live server: what a
page shows is what runs here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.benchmarks.environments import NoEnvironment, make_environment
from tests.docs.pages import ROOT, Page, read
from tests.docs.test_shown import HERE, Served, served

__all__ = ["served"]  # a fixture, used by name

pytestmark = [pytest.mark.environments, pytest.mark.timeout(900)]

FILES = Path(__file__).parent / "environments"
MADE = ROOT / ".clients"
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""It would look for prices on the network."""
FORM = re.compile(r"sky='(sunny|cloudy|rainy)' warm=(True|False)")


def python_of(client: str) -> Path:
    try:
        return make_environment(client, MADE, FILES)
    except NoEnvironment as error:
        pytest.skip(f"no environment for {client}: {error}")


def run(command: list[str], **more: str) -> str:
    """What it prints. No proxy and no key of the tester's own; fails with all that was said."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
    home = {"HOME": str(MADE), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**kept, **home, **more},
        timeout=300,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def labelled(printed: str) -> dict[str, list[str]]:
    """Lines that begin with a word and a colon, by that word; other lines go on with the last."""
    said: dict[str, list[str]] = {}
    label = ""
    for line in printed.splitlines():
        begins = re.match(r"(\w+): ?(.*)", line)
        if begins:
            label = begins[1]
            said.setdefault(label, []).append(begins[2])
        else:
            said[label][-1] += "\n" + line
    return said


def page_of(client: str) -> Page:
    return read(f"docs/clients/{client}.md")


def run_page(client: str, served: Served) -> dict[str, list[str]]:
    [snippet] = page_of(client).blocks("python")
    script = snippet.replace(HERE, served.url)
    return labelled(run([str(python_of(client)), "-c", script], **QUIET))


def test_openai_python(served: Served) -> None:
    said = run_page("openai-python", served)
    assert all(line.strip() for lines in said.values() for line in lines)
    assert said["stream"] == said["response"]
    assert said["tool"] == ["get_weather {'city': 'Paris'}"]
    assert "18" in said["answer"][0]
    assert len(said["parsed"]) == 2
    assert all(FORM.match(parsed) for parsed in said["parsed"])


def test_langchain(served: Served) -> None:
    said = run_page("langchain", served)
    assert said["invoke"] == said["stream"]
    assert said["tool"] == ["get_weather {'city': 'Paris'}"] * 2
    assert len(said["answer"]) == 2
    assert all("18" in answer for answer in said["answer"])
    assert len(said["parsed"]) == 2
    assert all(FORM.match(parsed) for parsed in said["parsed"])


def test_pydantic_ai(served: Served) -> None:
    said = run_page("pydantic-ai", served)
    assert said["tool"] == ["Paris"] * 2
    assert all("18" in answer for answer in said["answer"])
    assert len(said["parsed"]) == 4
    assert all(FORM.match(parsed) for parsed in said["parsed"])


def test_litellm(served: Served) -> None:
    said = run_page("litellm", served)
    assert said["chat"] == said["stream"]
    assert said["tool"] == ["get_weather {'city': 'Paris'}"]
    assert re.match(r"sunny=(True|False) warm=(True|False)", said["parsed"][0])


def test_llm(served: Served, tmp_path: Path) -> None:
    python = python_of("llm")
    [models] = page_of("llm").blocks("yaml")
    (tmp_path / "extra-openai-models.yaml").write_text(models.replace(HERE, served.url))
    _, commands = page_of("llm").blocks("bash")
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    user = {"LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "any", "PATH": path}
    printed = run(["bash", "-euc", commands], **user)
    assert "Pocket" in printed
    assert "18" in printed
    assert json.loads(printed.splitlines()[-1]).keys() == {"sunny", "warm"}


def test_openai_node(served: Served) -> None:
    said = labelled(run(["node", str(script_of(served))]))
    assert all(line.strip() for lines in said.values() for line in lines)
    assert said["stream"] == said["response"]
    assert said["tool"] == ["Paris"]
    assert "18" in said["answer"][0]
    assert said["parsed"] == ["[ 'sky', 'warm' ]"]


def script_of(served: Served) -> Path:
    """The page's script, where its imports are found."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    folder = MADE / "openai-node"
    shutil.copytree(FILES / "openai-node", folder, dirs_exist_ok=True)
    if not (folder / "node_modules").exists():
        command = ["npm", "ci", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no environment for openai-node: {done.stderr.splitlines()[-1]}")
    script = folder / "page.mjs"
    [snippet] = page_of("openai-node").blocks("javascript")
    script.write_text(snippet.replace(HERE, served.url))
    return script
