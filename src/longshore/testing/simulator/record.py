"""What is known of a simulation from outside: what users asked and were told, what watchers saw,
and what became durable. Checkers need nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.medium import Entry


@dataclass(slots=True)
class Asked:
    """A request of a user. status 0: no answer came, and nobody knows what became of it. token
    is in what it wrote, and in nothing else. twice: a copy of it came later. Times are monotonic
    seconds."""

    token: str
    method: str
    key: str
    began: float
    ended: float = 0.0
    status: int = 0
    twice: bool = False
    doc: Doc = field(default_factory=dict)

    @property
    def revision(self) -> int:
        return int(self.doc.get("metadata", {}).get("resourceVersion") or 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that a watcher was told: ADDED, MODIFIED, DELETED; or LISTED, an object of a list at
    revision; or BEGUN, a list that has begun, at revision. own is the object's own revision."""

    type: str
    key: str
    revision: int
    own: int


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that did not hold. about: keys of the objects concerned."""

    rule: str
    sentence: str
    about: tuple[str, ...] = ()


@dataclass(slots=True)
class Record:
    """log: what became durable. watches: per kind's prefix, what each watcher was told in its order.
    running: the uids of all pods whose containers ran, at so many seconds after the beginning, as the
    machines themselves know; looked at every few seconds, kept when it changed. died: what ended a
    part of the cluster by itself."""

    log: list[Entry]
    asked: list[Asked] = field(default_factory=list)
    watches: dict[str, list[Seen]] = field(default_factory=dict)
    running: list[tuple[float, frozenset[str]]] = field(default_factory=list)
    died: str = ""
    _decoded: list[tuple[Entry, Doc | None]] = field(default_factory=list)

    def decoded(self) -> Sequence[tuple[Entry, Doc | None]]:
        """The log with its documents but for their managedFields, to be read only. To be called once
        the log is whole."""
        if not self._decoded:
            there: dict[str, Doc] = {}
            for entry in self.log:
                before = there.pop(entry.key, {})
                doc = None if entry.value is None else _state(entry.value, before)
                if doc is not None:
                    there[entry.key] = doc
                self._decoded.append((entry, doc))
        return self._decoded

    def objects(self) -> Mapping[str, Doc]:
        """What there is in the end."""
        there: dict[str, Doc] = {}
        for entry, doc in self.decoded():
            there.pop(entry.key, None)
            if doc is not None:
                there[entry.key] = doc
        return there


def _state(value: bytes, before: Doc) -> Doc:
    """A document that shares with the state before it what is the same: a day's log is of many states
    of few objects."""
    doc: Doc = orjson.loads(value)
    doc["metadata"].pop("managedFields", None)
    for name, told in doc.items():
        if before.get(name) == told:
            doc[name] = before[name]
    return doc
