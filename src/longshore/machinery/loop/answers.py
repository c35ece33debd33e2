"""What a reconciler may answer about a key: done, wake me after, hopeless, or any other error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Done:
    """The world is as it should be; nothing to do until something changes."""


@dataclass(frozen=True, slots=True)
class WakeAfter:
    """Calm so far, but look again after this many seconds."""

    seconds: float


class Hopeless(Exception):
    """Trying again cannot help until the object changes. Said once, then dropped."""


Answer: TypeAlias = Done | WakeAfter
DONE = Done()


def sooner(*waits: float | None) -> Answer:
    """The earliest of some waits in seconds; done if there is none."""
    due = [wait for wait in waits if wait is not None]
    return WakeAfter(max(0.0, min(due))) if due else DONE
