"""One measured figure, and how figures are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """goal is in the same unit; at_most says whether smaller is better. note says what it is of."""

    what: str
    value: float
    unit: str
    goal: float | None = None
    at_most: bool = True
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def render(figures: Sequence[Figure]) -> str:
    rows = [("measured", "value", "goal", "", "note")]
    for figure in figures:
        goal = (
            ""
            if figure.goal is None
            else f"{'≤' if figure.at_most else '≥'} {figure.goal:,g} {figure.unit}"
        )
        verdict = {True: "met", False: "missed", None: ""}[figure.met]
        rows.append(
            (figure.what, f"{_number(figure.value)} {figure.unit}", goal, verdict, figure.note)
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]
        ).rstrip()
        for row in rows
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
