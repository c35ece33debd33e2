"""A proof's verdict: its history is judged, and what it came to is said."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.testing.linearizability import violations
from tests.proof.load import Counts, Load


@dataclass(frozen=True)
class Verdict:
    """what: the proof in a line. wrong: sentences of what was lost or contradicted."""

    what: str
    counts: Counts
    wrong: list[str]

    def __str__(self) -> str:
        return "\n  ".join([f"{self.what}: {self.counts}", *self.wrong[:20]])


def judged(what: str, load: Load) -> Verdict:
    """Answers of 500 are nobody's loss, but they are wrong."""
    counts, wrong = load.counts, [*violations(load.history)]
    counts.lost = len(wrong)
    return Verdict(what, counts, [*wrong, *load.odd])
