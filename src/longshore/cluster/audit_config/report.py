"""What is found, as it is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from longshore.cluster.audit_config.controls import CONTROLS
from longshore.cluster.audit_config.evidence import Evidence
from longshore.cluster.audit_config.verdicts import FAIL, VERDICTS


@dataclass(frozen=True, slots=True)
class Finding:
    """A control and what is said of it."""

    number: str
    title: str
    verdict: str
    why: str


def judge(evidence: Evidence) -> list[Finding]:
    return [Finding(one.number, one.title, *one.check(evidence)) for one in CONTROLS]


def fails(findings: Iterable[Finding]) -> bool:
    return any(one.verdict == FAIL for one in findings)


def as_dict(cluster: str, findings: Sequence[Finding], only: str | None = None) -> dict[str, Any]:
    """What --json prints: cluster, summary (how many, by verdict) and controls."""
    return {
        "cluster": cluster,
        "summary": summary(findings),
        "controls": [asdict(one) for one in _chosen(findings, only)],
    }


def as_text(cluster: str, findings: Sequence[Finding], only: str | None = None) -> str:
    """A table of controls, and a line that sums it up, for people."""
    rows = [("CONTROL", "VERDICT", "TITLE", "WHY")]
    rows += [(one.number, one.verdict, one.title, one.why) for one in _chosen(findings, only)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in summary(findings).items())
    return "\n".join([*lines, "", f"{cluster}: {counts}"])


def summary(findings: Iterable[Finding]) -> dict[str, int]:
    counts = Counter(one.verdict for one in findings)
    return {verdict: counts[verdict] for verdict in VERDICTS}


def _chosen(findings: Iterable[Finding], only: str | None) -> list[Finding]:
    return [one for one in findings if only in (None, one.verdict)]
