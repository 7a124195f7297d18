"""What was claimed, proved, refused and failed: as a table for people, as JSON for machines."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal, TextIO

from enginebay_core.api import GENERATION_FIELDS, PluginError, Support
from enginebay_core.plugins import BACKENDS, find_plugin
from enginebay_core.testing.bench import ELSEWHERE, Bench
from enginebay_core.testing.contract import BackendContract
from enginebay_core.testing.marks import fields_proved
from enginebay_core.testing.session import CheckResult

Proof = Literal["proved", "failed", "unproved", "refused"]

PROOFS: Final[tuple[Proof, ...]] = ("failed", "unproved", "proved", "refused")
FORMAT_VERSION: Final = 1
WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class FieldResult:
    """``proof`` is "unproved" where the field is claimed and no witness passed."""

    name: str
    claimed: str
    proof: Proof
    witnesses: tuple[str, ...]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """``explanation`` is the check's docstring; ``fields`` are what it proves; ``placement`` is
    where the backend ran.
    """

    name: str
    subject: str
    status: str
    message: str
    seconds: float
    fields: tuple[str, ...]
    explanation: str
    placement: str


@dataclass(frozen=True, slots=True)
class Report:
    """``distribution`` is the pip name and version, None for what is not installed."""

    backend: str
    model: str
    distribution: str | None
    protocol: str
    fields: tuple[FieldResult, ...]
    checks: tuple[CheckReport, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        unproved = any(field.proof in ("failed", "unproved") for field in self.fields)
        return not unproved and not self.with_status("failed")

    def with_status(self, status: str) -> list[CheckReport]:
        return [check for check in self.checks if check.status == status]


def build_report(
    contract: type[BackendContract], bench: Bench, results: Sequence[CheckResult]
) -> Report:
    checks = tuple(_check(contract, result) for result in results)
    return Report(
        backend=bench.subject.name,
        model=bench.subject.model,
        distribution=_distribution(contract.backend),
        protocol=BACKENDS.rsplit(".", 1)[-1],
        fields=tuple(_field(name, bench, checks) for name in GENERATION_FIELDS),
        checks=checks,
        notes=tuple(dict.fromkeys(bench.notes)),
    )


def join_reports(reports: Sequence[Report]) -> Report:
    """Of one backend in several placements. A field is as well proved as where it is worst;
    checks that cannot run in another process are left out of its part.
    """
    if len(reports) == 1:
        return reports[0]
    by_field = zip(*(report.fields for report in reports), strict=True)
    checks = [check for report in reports for check in report.checks]
    ran = tuple(check for check in checks if check.message != ELSEWHERE)
    notes = [note for report in reports for note in report.notes]
    left_out = f"{len(checks) - len(ran)} checks drive the engine itself: they ran inline only"
    return replace(
        reports[0],
        fields=tuple(min(found, key=lambda field: PROOFS.index(field.proof)) for found in by_field),
        checks=ran,
        notes=tuple(dict.fromkeys([*notes, left_out])),
    )


def _check(contract: type[BackendContract], result: CheckResult) -> CheckReport:
    function = getattr(contract, result.name)
    owner = next(cls for cls in contract.__mro__ if result.name in vars(cls))
    return CheckReport(
        name=result.name,
        subject=owner.__name__.lower(),
        status=result.status,
        message=result.message,
        seconds=round(result.seconds, 3),
        fields=fields_proved(function),
        explanation=" ".join((function.__doc__ or "").split()),
        placement=contract.placement,
    )


def _field(name: str, bench: Bench, checks: Sequence[CheckReport]) -> FieldResult:
    capability = bench.subject.capabilities.of(name)
    if capability.support is Support.REFUSED:
        return FieldResult(name, capability.support, "refused", (), capability.reason or "")
    mine = [check for check in checks if name in check.fields]
    failed = tuple(check.name for check in mine if check.status == "failed")
    passed = tuple(check.name for check in mine if check.status == "passed")
    if failed:
        return FieldResult(name, capability.support, "failed", failed, ", ".join(failed))
    if passed:
        limit = "" if capability.maximum is None else f"at most {capability.maximum:g}"
        return FieldResult(name, capability.support, "proved", passed, limit)
    return FieldResult(name, capability.support, "unproved", (), "no witness passed")


def _distribution(backend: str) -> str | None:
    try:
        plugin = find_plugin(BACKENDS, backend)
    except PluginError:
        return None
    return f"{plugin.distribution} {plugin.version}"


def write_json(report: Report, path: Path) -> None:
    fields = {field.name: asdict(field) for field in report.fields}
    content = {"version": FORMAT_VERSION, **asdict(report), "fields": fields}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(report: Report, output: TextIO) -> None:
    for line in _lines(report):
        output.write(line + "\n")


def _lines(report: Report) -> Iterator[str]:
    distribution = report.distribution or "not installed"
    yield f"{report.backend} ({distribution}, protocol {report.protocol}) on {report.model}"
    yield ""
    yield _row("request field", "claimed", "result", "")
    for field in report.fields:
        yield _row(field.name, field.claimed, field.proof, field.detail)
    yield ""
    yield from _check_lines(report)
    yield from _failure_lines(report)
    for note in report.notes:
        yield from _wrapped("note: " + note)
    yield from _verdict(report)


def _row(name: str, claimed: str, result: str, detail: str) -> str:
    return f"{name:20} {claimed:9} {result:9} {detail}".rstrip()


def _check_lines(report: Report) -> Iterator[str]:
    heading = ""
    for check in report.checks:
        if heading != f"{check.subject}, {check.placement}":
            heading = f"{check.subject}, {check.placement}"
            yield heading
        reason = f"  {check.message}" if check.status in ("skipped", "deviates") else ""
        title = check.name.removeprefix("test_").replace("_", " ")
        yield f"  {check.status:9}{title}{reason}"
    yield ""


def _failure_lines(report: Report) -> Iterator[str]:
    for check in report.with_status("failed"):
        yield f"FAILED {check.name}, {check.placement}"
        yield from _wrapped(check.message)
        yield from _wrapped(check.explanation)
        yield ""


def _wrapped(text: str) -> Iterator[str]:
    return iter(textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  "))


def _verdict(report: Report) -> Iterator[str]:
    claimed = [field for field in report.fields if field.proof != "refused"]
    proved = [field for field in claimed if field.proof == "proved"]
    counts = ", ".join(
        f"{len(found)} {status}"
        for status in ("passed", "failed", "skipped", "deviates")
        if (found := report.with_status(status))
    )
    verdict = "PROVED" if report.passed else "FAILED"
    yield f"{verdict}: {len(proved)} of {len(claimed)} claimed fields; checks: {counts}"
