"""The pages on clients name the versions that are tested."""

from __future__ import annotations

import json
import re

import pytest
from tests.docs.pages import ROOT, read

ENVIRONMENTS = ROOT / "tests" / "clients" / "environments"
PACKAGES = {
    "openai-python": "openai",
    "langchain": "langchain-openai",
    "pydantic-ai": "pydantic-ai-slim",
    "litellm": "litellm",
    "llm": "llm",
}


def pinned(client: str) -> str:
    if client == "openai-node":
        package = json.loads((ENVIRONMENTS / client / "package.json").read_text())
        return str(package["dependencies"]["openai"])
    pins = (ENVIRONMENTS / f"{client}.txt").read_text()
    [version] = re.findall(rf"^{PACKAGES[client]}==(\S+)", pins, re.MULTILINE)
    return str(version)


@pytest.mark.parametrize("client", [*PACKAGES, "openai-node"])
def test_the_version_named_is_the_one_tested(client: str) -> None:
    [row] = [
        line
        for line in read("docs/clients/index.md").text.splitlines()
        if f"]({client}.md)" in line
    ]
    assert row.split("|")[2].split()[-1] == pinned(client)
