"""The page of the contract kit says of each check what its docstring says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from enginebay_core.testing import BackendContract
from enginebay_core.testing.checks import Checks
from enginebay_core.testing.marks import fields_proved

MARK = "<!-- made from the docstrings: python core/tests/kit/test_page.py -->\n"


def page() -> Path:
    """Of the checkout; where core's tests run alone there is none."""
    folders = Path(__file__).resolve().parents
    return next((f / "docs" / "contract-kit.md" for f in folders if (f / "docs").is_dir()), Path())


def test_the_page_agrees_with_the_docstrings() -> None:
    if not page().is_file():
        pytest.skip("the docs are not here: core's tests run outside the checkout")
    assert page().read_text(encoding="utf-8").partition(MARK)[2] == "".join(sections())


def sections() -> Iterator[str]:
    for subject in reversed(Checks.__mro__):
        names = [name for name in vars(subject) if name.startswith("test_")]
        if names:
            yield f"\n### {subject.__name__}\n"
            for name in names:
                yield entry(name)


def entry(name: str) -> str:
    check = getattr(BackendContract, name)
    what, _, failure = " ".join((check.__doc__ or "").split()).partition(" A failure")
    fields = ", ".join(f"`{field}`" for field in fields_proved(check))
    marks = [f"proves {fields}"] if fields else []
    if getattr(check, "step_engines", False):
        marks.append("*step engines*")
    told = f" ({'; '.join(marks)})" if marks else ""
    return f"\n**`{name}`**{told}: {what} A failure{failure}\n"


if __name__ == "__main__":
    head = page().read_text(encoding="utf-8").partition(MARK)[0]
    page().write_text(head + MARK + "".join(sections()), encoding="utf-8")
