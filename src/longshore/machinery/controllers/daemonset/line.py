"""What one node means for a DaemonSet: what is to be done there, and how it counts. Pure.

Rules: podsShouldBeOnNode and rollingUpdate of upstream's pkg/controller/daemon, node by node, so that
a change of one node or pod costs the same however many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.owners import is_deleting
from longshore.machinery.controllers.daemonset.nodes import Meant, Verdict
from longshore.machinery.controllers.daemonset.pods import by_age, mark_of

Standing: TypeAlias = Literal["settled", "unsettled", "broken", "outdated", "leaving"]
"""Where a node stands in a rolling update. unsettled counts against what may be missing (or,
with a surge, against what may be too many); broken has only an old pod that does not work, which is
replaced at once; outdated one that works, which waits for its turn; leaving (with a surge) has one on a
node that is not meant any more, which goes when enough others work."""


class Counts(NamedTuple):
    """As in a DaemonSet's status; running: has a pod that is available, whether or not it should."""

    desired: int = 0
    current: int = 0
    misscheduled: int = 0
    ready: int = 0
    available: int = 0
    updated: int = 0
    running: int = 0


class Removal(NamedTuple):
    """A pod that is to go. why: empty, or how it has ended."""

    pod: Doc
    why: Literal["", "failed", "succeeded"] = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a DaemonSet says of all its nodes. mark: the hash of its newest revision."""

    meant: Meant
    mark: str
    surges: bool
    min_ready_s: int


@dataclass(frozen=True, slots=True)
class Line:
    """old: the pod that a rolling update replaces. due: when, in seconds since the epoch, to look
    again though nothing changes. marks: of the pods that are there."""

    counts: Counts
    standing: Standing | None = None
    create: bool = False
    remove: tuple[Removal, ...] = ()
    old: Doc | None = None
    due: float | None = None
    marks: tuple[str, ...] = ()


def line_of(
    rules: Rules, verdict: Verdict | None, pods: Sequence[Doc], held_s: float, now: float
) -> Line | None:
    """None: the DaemonSet has nothing to do with the node. verdict None: there is no such node (any
    more). held_s: for how long failed pods of the node are to be left alone."""
    pods = [pod for pod in pods if not (is_deleting(pod) and pod_state.is_terminal(pod))]
    if verdict is None:
        return _without_node(pods)
    if not verdict.runs and not pods:
        return None
    site = _Site(rules, verdict, pods, held_s, now)
    create, remove = site.managed()
    going = [one.pod for one in remove]
    standing, old = site.standing(going)
    return Line(
        counts=site.counts(),
        standing=standing,
        create=create,
        remove=tuple(remove),
        old=old,
        due=site.due(),
        marks=tuple(map(mark_of, pods)),
    )


def _without_node(pods: Sequence[Doc]) -> Line | None:
    """Pods that wait for a node that is not there; those that were on it are collected as garbage."""
    waiting = [pod for pod in pods if not pod_state.node_name(pod) and not is_deleting(pod)]
    if not waiting:
        return None
    return Line(Counts(), remove=tuple(map(Removal, waiting)), marks=tuple(map(mark_of, pods)))


@dataclass(frozen=True, slots=True)
class _Site:
    rules: Rules
    verdict: Verdict
    pods: Sequence[Doc]
    held_s: float
    now: float

    # ---- one pod a node

    def managed(self) -> tuple[bool, list[Removal]]:
        """Whether a pod is to be made, and which are to go."""
        if self.verdict.runs and not self.pods:
            return True, []
        staying = [pod for pod in self.pods if not is_deleting(pod)]
        if not self.verdict.goes_on:
            return False, [Removal(pod) for pod in staying]
        living = [pod for pod in staying if not pod_state.is_terminal(pod)]
        ended = self._ended(staying)
        if not self.rules.surges:
            return False, ended + [Removal(pod) for pod in by_age(living)[1:]]
        create = self.verdict.runs and not living and not self._is_held()
        return create, ended + [Removal(pod) for pod in self._surplus(living)]

    def _ended(self, staying: Sequence[Doc]) -> list[Removal]:
        failed = [Removal(pod, "failed") for pod in staying if pod_state.phase(pod) == "Failed"]
        return ([] if self._is_held() else failed) + [
            Removal(pod, "succeeded") for pod in staying if pod_state.phase(pod) == "Succeeded"
        ]

    def _is_held(self) -> bool:
        return self.held_s > 0 and any(pod_state.phase(pod) == "Failed" for pod in self.pods)

    def _surplus(self, living: Sequence[Doc]) -> list[Doc]:
        """While surging an old and a new pod may be beside one another, until the new one works or
        the old one does not."""
        new, old = self._parted(by_age(living))
        surplus = [*new[1:], *old[1:]]
        if new and old and (self._is_available(new[0]) or not pod_state.is_ready(old[0])):
            surplus.append(old[0])
        return surplus

    # ---- updates

    def standing(self, going: Sequence[Doc]) -> tuple[Standing | None, Doc | None]:
        """Where the node stands, and the old pod it has; going are pods that are to go anyway."""
        new, old = self._parted([pod for pod in self.pods if not is_deleting(pod)])
        if len(new) > 1 or len(old) > 1:
            return "unsettled", None
        if self.rules.surges:
            return self._surging(new, old, going)
        if len(new) == len(old) or (old and any(old[0] is pod for pod in going)):
            return ("unsettled" if self.verdict.runs else None), None
        if new:
            return ("settled" if self._is_available(new[0]) else "unsettled"), None
        return ("outdated" if self._is_available(old[0]) else "broken"), old[0]

    def _surging(
        self, new: Sequence[Doc], old: Sequence[Doc], going: Sequence[Doc]
    ) -> tuple[Standing | None, Doc | None]:
        if not old or any(old[0] is pod for pod in going):
            return "settled", None
        if new:
            return ("settled" if self._is_available(new[0]) else "unsettled"), None
        if self.verdict.runs:
            return ("outdated" if self._is_available(old[0]) else "broken"), old[0]
        return "leaving", old[0]

    def _parted(self, pods: Sequence[Doc]) -> tuple[list[Doc], list[Doc]]:
        """Those of the newest revision, and those of others."""
        new = [pod for pod in pods if mark_of(pod) == self.rules.mark]
        return new, [pod for pod in pods if mark_of(pod) != self.rules.mark]

    # ---- counting

    def counts(self) -> Counts:
        running = int(any(self._is_available(pod) for pod in self.pods))
        if not self.verdict.runs:
            return Counts(misscheduled=1, running=running)
        if not self.pods:
            return Counts(desired=1)
        first = by_age(self.pods)[0]
        return Counts(
            desired=1,
            current=1,
            ready=int(pod_state.is_ready(first)),
            available=int(self._is_available(first)),
            updated=int(mark_of(first) == self.rules.mark),
            running=running,
        )

    def due(self) -> float | None:
        waits = [pod_state.available_in_s(p, self.rules.min_ready_s, self.now) for p in self.pods]
        times = [wait for wait in waits if wait]
        if self._is_held():
            times.append(self.held_s)
        return self.now + min(times) if times else None

    def _is_available(self, pod: Doc) -> bool:
        return pod_state.available_in_s(pod, self.rules.min_ready_s, self.now) == 0
