"""How each machine of a group is: started, coming, unready, leaving; and groups that failed to grow. Times
are monotonic seconds that the caller brings; no clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.pods import is_ready
from longshore.machinery.controllers.nodegroups.protocol import NodeGroup
from longshore.machinery.controllers.nodegroups.rules import ScalingRules


class State(Enum):
    """READY; COMING: it has not been ready yet; UNREADY: it has been; LEAVING: it is being removed."""

    READY = "ready"
    COMING = "coming"
    UNREADY = "unready"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of a group; node is its Node, if it has registered. for_s: how long it has been
    coming, or unready."""

    name: str
    group: str
    state: State
    node: Doc | None
    for_s: float = 0.0


class Roll:
    """Remembers who has been ready, and since when others are not."""

    def __init__(self, rules: ScalingRules) -> None:
        self._rules = rules
        self._started: set[str] = set()
        self._since: dict[str, float] = {}

    def call(
        self,
        groups: Iterable[NodeGroup],
        node_of: Callable[[str], Doc | None],
        leaving: Container[str],
        now: float,
        wall: float,
    ) -> list[Machine]:
        """All machines. wall is the time in seconds since the epoch: what has been there for long,
        but was never seen here, counts as started."""
        found = [
            self._one(name, group.name, node_of(name), name in leaving, now, wall)
            for group in groups
            for name in group.nodes
        ]
        names = {one.name for one in found}
        self._started &= names
        self._since = {name: at for name, at in self._since.items() if name in names}
        return found

    def _one(
        self, name: str, group: str, node: Doc | None, leaving: bool, now: float, wall: float
    ) -> Machine:
        if node is not None and is_ready(node):
            self._started.add(name)
            self._since.pop(name, None)
            return Machine(name, group, State.LEAVING if leaving else State.READY, node)
        if node is not None and wall - _created(node) > self._rules.provision_s:
            self._started.add(name)
        for_s = now - self._since.setdefault(name, now)
        state = State.UNREADY if name in self._started else State.COMING
        return Machine(name, group, State.LEAVING if leaving else state, node, for_s)


def overdue(machines: Sequence[Machine], rules: ScalingRules) -> list[Machine]:
    """Those that should have been ready by now."""
    return [one for one in machines if one.state is State.COMING and one.for_s >= rules.provision_s]


@dataclass(slots=True)
class _Failure:
    at: float
    lasts_s: float


class Backoffs:
    """Groups that failed to grow are left alone for a time, which doubles with each failure
    (cluster-autoscaler/utils/backoff, exponential)."""

    def __init__(self, rules: ScalingRules) -> None:
        self._rules = rules
        self._failures: dict[str, _Failure] = {}

    def fail(self, group: str, now: float) -> None:
        """A group failed to grow."""
        before, rules = self._failures.get(group), self._rules
        lasts_s = rules.backoff_s
        if before is not None and now - before.at < rules.backoff_reset_s:
            lasts_s = min(before.lasts_s * 2, rules.backoff_max_s)
        self._failures[group] = _Failure(now, lasts_s)

    def left_s(self, group: str, now: float) -> float:
        """How long it is still left alone; 0 if it is not."""
        failure = self._failures.get(group)
        return 0.0 if failure is None else max(0.0, failure.at + failure.lasts_s - now)


def _created(node: Doc) -> float:
    return parse_rfc3339(node["metadata"]["creationTimestamp"])
