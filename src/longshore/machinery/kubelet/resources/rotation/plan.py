"""Decide when a log is looked at next, and what becomes of its rotated files. Pure.

Source: pkg/kubelet/logs/container_log_manager.go, which looks every 10 s whatever is printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longshore.machinery.runtime.rotated import PACKED

# A container that prints as fast as it can fills a file in a fraction of a second.
LOOK_MIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Size:
    """Of one log at a moment, in bytes: its current file, and all that was printed since it was first
    looked at."""

    bytes: int
    printed: int
    at: float


def grown(before: Size | None, bytes_now: int, at: float) -> Size:
    """The log's size, whose current file is of so many bytes now."""
    rotated = before.printed - before.bytes if before is not None else 0
    return Size(bytes_now, rotated + bytes_now, at)


def next_look_s(before: Size | None, now: Size, limit: int, at_most_s: float) -> float:
    """In how long it may have grown to its limit, at the pace seen."""
    if before is None or now.at <= before.at or now.printed <= before.printed:
        return at_most_s
    pace = (now.printed - before.printed) / (now.at - before.at)
    return min(at_most_s, max(LOOK_MIN_S, (limit - now.bytes) / pace))


def surplus(rotated: Sequence[str], most: int) -> Sequence[str]:
    """Which go so that, with one that is rotated now and the current one, at most so many are left."""
    return rotated[: max(0, len(rotated) - max(0, most - 2))]


def to_pack(rotated: Sequence[str]) -> list[str]:
    """All but the newest, which may still be written to for a moment."""
    return [name for name in rotated[:-1] if not name.endswith(PACKED)]
