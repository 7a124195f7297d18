"""The score: held-out cases answered greedily, counted by category."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from enginebay_pocket.recipe.cases import Case, cases
from enginebay_pocket.recipe.generate import Writer
from enginebay_pocket.recipe.render import prompt


@dataclass(frozen=True)
class Row:
    """Right answers in one category."""

    category: str
    right: int
    cases: int

    @property
    def percent(self) -> float:
        """Share of right answers."""
        return round(100 * self.right / self.cases, 1)


@dataclass(frozen=True)
class Failure:
    """A wrong answer, to look at."""

    category: str
    question: str
    answer: str


@dataclass(frozen=True)
class Score:
    """The table, its total last, and what went wrong."""

    rows: list[Row]
    failures: list[Failure]

    def table(self) -> str:
        """The rows as a Markdown table."""
        lines = ["| category | right | cases | % |", "|---|---:|---:|---:|"]
        lines += [
            f"| {row.category} | {row.right} | {row.cases} | {row.percent} |" for row in self.rows
        ]
        return "\n".join(lines)


def score(folder: Path) -> Score:
    """Answer every held-out case with the checkpoint in the folder."""
    asked = cases()
    answers = Writer(folder).answer([prompt(case.conversation) for case in asked])
    pairs = list(zip(asked, answers, strict=True))
    right = Counter(case.category for case, answer in pairs if case.right(answer))
    total = Counter(case.category for case in asked)
    rows = [Row(category, right[category], count) for category, count in total.items()]
    rows.append(Row("all", right.total(), total.total()))
    wrong = [_failure(case, answer) for case, answer in pairs if not case.right(answer)]
    return Score(rows, wrong)


def _failure(case: Case, answer: str) -> Failure:
    said = [one["content"] for one in case.conversation.messages if one["role"] in ("user", "tool")]
    return Failure(case.category, said[-1], answer)
