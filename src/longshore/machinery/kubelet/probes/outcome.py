"""What became of one probe or hook."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether it went well, and what to tell people if it did not; a warning is told if it did."""

    good: bool
    message: str = ""
    warning: str = ""
