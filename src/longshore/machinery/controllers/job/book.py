"""The pods of one Job that still matter to it, counted as they change: a change costs one pod's look.

Pods whose end is counted are not here, so that a Job of many completions is no larger than what it
runs at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from longshore.machinery.controllers.job.facts import PodFacts


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures in a row, without a success after them, and when the last was (seconds since the
    epoch)."""

    failures: int = 0
    last_at: float = 0.0


@dataclass(slots=True)
class Book:
    """By name: active pods, those on their way out, and those that are over and not counted. tracked
    are the uids of pods with the finalizer; by_index names the active pods of each index (NO_INDEX
    where they have none). restarts is of all containers of pods that are not over. refused: the last
    try to make pods failed."""

    uid: str
    active: dict[str, PodFacts] = field(default_factory=dict)
    leaving: dict[str, PodFacts] = field(default_factory=dict)
    over: dict[str, PodFacts] = field(default_factory=dict)
    tracked: set[str] = field(default_factory=set)
    by_index: dict[int, set[str]] = field(default_factory=dict)
    ready: int = 0
    restarts: int = 0
    backoff: Backoff = Backoff()
    refused: bool = False

    def note(self, facts: PodFacts) -> None:
        """Take in how a pod of the Job stands."""
        self.forget(facts.name)
        if facts.phase and not facts.tracked:
            return
        if facts.tracked:
            self.tracked.add(facts.uid)
        self.restarts += facts.restarts
        if facts.phase:
            self.over[facts.name] = facts
        elif facts.leaving:
            self.leaving[facts.name] = facts
        else:
            self.active[facts.name] = facts
            self.by_index.setdefault(facts.index, set()).add(facts.name)
            self.ready += facts.ready

    def forget(self, name: str) -> None:
        """The pod is not there, or not the Job's."""
        known = self.active.pop(name, None)
        if known is not None:
            self.ready -= known.ready
            self._off_index(known)
        else:
            known = self.leaving.pop(name, None) or self.over.pop(name, None)
        if known is not None:
            self.restarts -= known.restarts
            self.tracked.discard(known.uid)

    def _off_index(self, facts: PodFacts) -> None:
        names = self.by_index[facts.index]
        names.discard(facts.name)
        if not names:
            del self.by_index[facts.index]
