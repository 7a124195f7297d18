"""The Markdown pages of the repository, and what can be read off them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """``prose`` is the text without its fenced blocks."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def prose(self) -> str:
        return BLOCK.sub("", self.text)

    @property
    def anchors(self) -> set[str]:
        """As GitHub and the site make them of headings."""
        titles = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {
            re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles
        }

    def blocks(self, *languages: str) -> list[str]:
        """The bodies of the fenced blocks in one of ``languages``, in order."""
        return [body for language, body in BLOCK.findall(self.text) if language in languages]

    def section(self, heading: str) -> str:
        """The text from one heading (with its hashes) to the next of any level."""
        _, _, after = self.text.partition(f"\n{heading}\n")
        assert after, f"{self.name} has no heading {heading!r}"
        return re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0]


def read(name: str) -> Page:
    path = ROOT / name
    return Page(path, path.read_text(encoding="utf-8"))


def all_pages() -> Iterator[Page]:
    """Everything that a reader of the repository may open."""
    for pattern in ("*.md", "docs/*.md", "docs/clients/*.md", "*/README.md", "*/*/README.md"):
        for path in sorted(ROOT.glob(pattern)):
            yield read(str(path.relative_to(ROOT)))


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def table(text: str) -> dict[str, list[str]]:
    """The rows of a table by each name that stands as code in the first cell."""
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        first, *cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| `"):
            rows |= dict.fromkeys(code_spans(first), cells)
    return rows
