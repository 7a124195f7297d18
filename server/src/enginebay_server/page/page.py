"""One page without dependencies. A browser that shows it may talk to this server, and to nobody
else.
"""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template


@dataclass(frozen=True, slots=True)
class Page:
    """``policy`` is its Content-Security-Policy: it lets run what is in the page, by its hash."""

    template: Template
    style: str
    script: str

    @property
    def policy(self) -> str:
        return (
            f"default-src 'none'; connect-src 'self'; img-src data:; "
            f"style-src {_hashed(self.style)}; script-src {_hashed(self.script)}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def html(self, welcome: str) -> str:
        return self.template.substitute(
            style=self.style, script=self.script, welcome=html.escape(welcome)
        )


@cache
def read_page() -> Page:
    """From this package's files, once."""
    folder = files(__package__)
    markup, style, script = (
        (folder / f"page.{ending}").read_text(encoding="utf-8") for ending in ("html", "css", "js")
    )
    return Page(Template(markup), style, script)


def _hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
