"""The gate of one node: which pods it takes, and which of them may have more than they have. No I/O.

Whoever holds pods tells of those that come and go; who waits for room is told when there may be some.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import requests_of
from longshore.machinery.kubelet.admission.plan import Site, refusal
from longshore.machinery.kubelet.admission.room import Room
from longshore.machinery.kubelet.lifecycle.model import Pending, Resizing, Verdict, is_static
from longshore.machinery.kubelet.lifecycle.qos import qos_class
from longshore.machinery.kubelet.resources.eviction.admission import under_pressure

_STATIC_POLICY = 'Resize is infeasible for Guaranteed Pods alongside CPU Manager policy "static"'
_STATIC_POD = "static pods cannot be resized"


def _no_pressure() -> frozenset[str]:
    return frozenset()


@dataclass(slots=True)
class Gate:
    """site() says what the node is now, pressure() which conditions of want are True, freed(uid) is told
    of a pod whose change may be granted now. unable: why the runtime changes nothing that runs."""

    site: Callable[[], Site]
    freed: Callable[[str], None]
    pressure: Callable[[], frozenset[str]] = _no_pressure
    unable: str = ""
    exclusive_cpus: bool = False
    closed: Verdict | None = None
    _room: Room = field(default_factory=Room, init=False)
    _waiting: dict[str, tuple[int, int, float]] = field(default_factory=dict, init=False)

    def admit(self, pod: Doc) -> Verdict | None:
        """Take a pod that just came; or why not, in the words of its event."""
        why = (
            self.closed
            or under_pressure(pod, self.pressure())
            or refusal(pod, self.site(), self._room)
        )
        if why is None:
            self.adopt(pod)
        return why

    def adopt(self, pod: Doc) -> None:
        """A pod was taken in an earlier life, with what its spec has here."""
        self._room.give(pod["metadata"]["uid"], pod["spec"])

    def holds(self, uid: str) -> bool:
        """Whether anything is set aside for a pod."""
        return uid in self._room

    def leave(self, uid: str) -> None:
        """A pod needs nothing any more."""
        self._waiting.pop(uid, None)
        if self._room.take_back(uid):
            self._tell()

    def resized(self, wanted: Doc, has: Doc, before: Resizing, now: float) -> Resizing:
        """How a pod stands that wants other resources than it has: what it wants is set aside for it,
        unless the answer says that it waits."""
        uid, generation = wanted["metadata"]["uid"], wanted["metadata"].get("generation", 0)
        why = self._never(wanted, has)
        short = None if why else self._room.shortage(uid, wanted["spec"], self.site().allocatable)
        if not why and short is None:
            self._waiting.pop(uid, None)
            self._room.give(uid, wanted["spec"])
            if _shrinks(wanted, has):
                self._tell()
            return Resizing(generation=generation)
        old = before.pending
        since = old.since if old is not None and old.generation == generation else now
        if short is not None:
            self._waiting[uid] = _rank(wanted, since)
        return replace(before, pending=Pending(why or str(short), generation, since, bool(why)))

    def reverted(self, uid: str) -> None:
        """A pod wants again what it has."""
        self._waiting.pop(uid, None)

    def _never(self, wanted: Doc, has: Doc) -> str:
        """Why a change is not to be had on this node, however much room there is; "" if it may be."""
        if self.unable:
            return self.unable
        if is_static(wanted):
            return _STATIC_POD
        pinned = self.exclusive_cpus and qos_class(wanted["spec"]) == "Guaranteed"
        return _STATIC_POLICY if pinned and _cpu(wanted) != _cpu(has) else ""

    def _tell(self) -> None:
        """Room has become free: those that wait are heard in upstream's order (sortPendingResizes)."""
        for uid in sorted(self._waiting, key=self._waiting.__getitem__):
            self.freed(uid)


def _rank(wanted: Doc, since: float) -> tuple[int, int, float]:
    """Higher priorities go first, then better classes of service, then those that wait longer."""
    guaranteed = qos_class(wanted["spec"]) == "Guaranteed"
    return -int(wanted["spec"].get("priority") or 0), int(not guaranteed), since


def _shrinks(wanted: Doc, has: Doc) -> bool:
    new, old = requests_of(wanted["spec"]), requests_of(has["spec"])
    return any(new.get(name, 0) < value for name, value in old.items())


def _cpu(pod: Doc) -> int:
    return requests_of(pod["spec"]).get("cpu", 0)
