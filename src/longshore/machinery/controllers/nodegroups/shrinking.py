"""Finds the nodes that are not needed, shows them by a taint, and has them removed when they were not needed
for long enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.nodegroups import plan as planning
from longshore.machinery.controllers.nodegroups import taints
from longshore.machinery.controllers.nodegroups.book import Book
from longshore.machinery.controllers.nodegroups.drainable import must_move
from longshore.machinery.controllers.nodegroups.hands import Hands
from longshore.machinery.controllers.nodegroups.plan import Candidate
from longshore.machinery.controllers.nodegroups.protocol import NodeGroup, Trial
from longshore.machinery.controllers.nodegroups.removal import Kept, Removal, Remover
from longshore.machinery.controllers.nodegroups.roll import Machine, State
from longshore.machinery.controllers.nodegroups.telling import Teller

# How long a node that could not be removed is left alone (--unremovable-node-recheck-timeout).
_SPARED_S = 300.0
DISABLED = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
_EMPTY, _UNREADY, _UNDERUTILIZED = "empty", "unready", "underutilized"


class Shrinker:
    """unneeded: since when nodes are not needed, in monotonic seconds; removals: those that are on
    their way out; both by name."""

    def __init__(self, hands: Hands, book: Book, teller: Teller) -> None:
        self._hands, self._book, self._teller = hands, book, teller
        self._remover = Remover(hands)
        self._spared: dict[str, float] = {}
        self._failed_at: float | None = None
        self._found: dict[str, Candidate] = {}
        self.unneeded: dict[str, float] = {}
        self.removals: dict[str, Removal] = {}

    # --- whom it may concern ---

    def candidates(
        self, groups: Sequence[NodeGroup], machines: Sequence[Machine]
    ) -> list[Candidate]:
        """Nodes that may go, as far as each is looked at by itself."""
        spare = _spare(groups, machines)
        reasons: Counter[str] = Counter()
        found = []
        for one in machines:
            if one.state not in (State.READY, State.UNREADY) or one.node is None:
                continue
            candidate = self._candidate(one, one.node, spare[one.group])
            if isinstance(candidate, str):
                reasons[candidate] += 1
            else:
                found.append(candidate)
        self._hands.metrics.unremovable = reasons
        return found

    def _candidate(self, machine: Machine, node: Doc, spare: int) -> Candidate | str:
        """A machine as a candidate, or why it is none, by upstream's name of the reason."""
        name = machine.name
        used = planning.utilization(self._book.used(name), node)
        if spare <= 0:
            return "NodeGroupMinSizeReached"
        if (node["metadata"].get("annotations") or {}).get(DISABLED) == "true":
            return "ScaleDownDisabledAnnotation"
        if self._spared.get(name, 0.0) > self._now():
            return "RecentlyUnremovable"
        if machine.state is State.READY and used >= self._hands.rules.utilization:
            return "NotUnderutilized"
        pods = tuple(self.movers(name))
        if why := self._remover.blocked(pods):
            return why
        ready = machine.state is State.READY
        return Candidate(name, machine.group, pods, used, self.unneeded.get(name), ready)

    def movers(self, name: str) -> Iterable[Doc]:
        """The pods of a node that would be missed."""
        pods = self._hands.cache.indexed(kinds.POD, "node", name)
        cutoff = self._hands.rules.priority_cutoff
        return (
            pod
            for pod in pods
            if must_move(pod) and int(pod["spec"].get("priority") or 0) >= cutoff
        )

    # --- what follows ---

    async def judge(
        self,
        trial: Trial,
        groups: Sequence[NodeGroup],
        machines: Sequence[Machine],
        candidates: Sequence[Candidate],
    ) -> None:
        """Find out who is not needed. Others have their turn between two trials."""
        found = {}
        for one, may_go in planning.tried(trial, candidates, _spare(groups, machines)):
            if may_go:
                found[one.node] = one
            await self._hands.clock.sleep(0)
        now = self._now()
        self._found = found
        self.unneeded = {name: self.unneeded.get(name, now) for name in found}

    def need_all(self) -> None:
        """There are no candidates."""
        self._found, self.unneeded = {}, {}

    async def mark(self, machines: Sequence[Machine]) -> None:
        """Have nodes show whether they are needed: the taint asks the scheduler to look elsewhere
        first. What another autoscaler before this one had begun is taken back, as upstream does."""
        for one in machines:
            if one.node is None or one.name in self.removals:
                continue
            wrong = [taints.TO_BE_DELETED]
            if one.name not in self.unneeded:
                wrong.append(taints.CANDIDATE)
            patch = taints.without_taints(one.node, *wrong)
            if patch is None and one.name in self.unneeded:
                wall = self._hands.clock.now()
                patch = taints.with_taint(one.node, taints.CANDIDATE, wall)
            if patch is not None:
                await self._hands.client.write(patch)

    def cooldown_s(self, grown_at: float | None) -> float:
        """How long nothing is removed, after a group grew and after a removal failed."""
        rules, now = self._hands.rules, self._now()
        ends = [now]
        if grown_at is not None:
            ends.append(grown_at + rules.delay_after_add_s)
        if self._failed_at is not None:
            ends.append(self._failed_at + rules.delay_after_failure_s)
        return max(ends) - now

    async def begin_due(self) -> None:
        """Begin to remove those that were not needed for long enough, as many as may go at a time."""
        for name in [name for name in self._found if self.due_s(name) <= 0]:
            if self._may_begin(self._found[name]):
                await self._begin(self._found.pop(name))

    def due_s(self, name: str) -> float:
        """How long a node that is not needed still stays."""
        rules = self._hands.rules
        patience_s = rules.unneeded_s if self._found[name].ready else rules.unready_s
        return self.unneeded[name] + patience_s - self._now()

    def next_s(self) -> float | None:
        """When the next of those is due; None if none is, or others have to be gone first."""
        return min(
            (
                max(0.0, self.due_s(name))
                for name, one in self._found.items()
                if self._may_begin(one)
            ),
            default=None,
        )

    def _may_begin(self, one: Candidate) -> bool:
        drains = sum(removal.reason != _EMPTY for removal in self.removals.values())
        rules = self._hands.rules
        return len(self.removals) < rules.deletions and (not one.pods or drains < rules.drains)

    async def _begin(self, one: Candidate) -> None:
        reason = _UNDERUTILIZED if one.pods else _EMPTY
        removal = Removal(one.node, self._now(), reason if one.ready else _UNREADY)
        self.removals[one.node], since = removal, self.unneeded.pop(one.node)
        try:
            await self._remover.begin(removal)
        except ApiError:
            del self.removals[one.node]
            self.unneeded[one.node] = since
            raise

    async def step(self, name: str) -> float | None:
        """Go on with a removal; seconds until the next look, None if there is nothing to be done."""
        removal = self.removals.get(name)
        if removal is None:
            return None
        try:
            wait_s = await self._remover.step(removal)
        except Kept as why:
            await self._take_back(removal, str(why))
            return None
        if wait_s is None:
            del self.removals[name]
            self._tell_gone(removal)
        return wait_s

    async def _take_back(self, removal: Removal, why: str) -> None:
        name, now = removal.node, self._now()
        self._spared = {one: until for one, until in self._spared.items() if until > now}
        self._spared[name] = now + _SPARED_S
        self._failed_at = now
        await self._remover.take_back(name, why, drained=removal.reason != _EMPTY)
        del self.removals[name]

    def _tell_gone(self, removal: Removal) -> None:
        if removal.reason == _EMPTY:
            text = f"Scale-down: empty node {removal.node} removed"
            self._teller.event("Normal", "ScaleDownEmpty", text)
        else:
            text = f"Scale-down: node {removal.node} removed with drain"
            self._teller.event("Normal", "ScaleDown", text)

    def _now(self) -> float:
        return self._hands.clock.monotonic()


def _spare(groups: Iterable[NodeGroup], machines: Iterable[Machine]) -> Mapping[str, int]:
    """How many machines each group can do without, of those that are there."""
    there = Counter(one.group for one in machines if one.state in (State.READY, State.UNREADY))
    return {group.name: there[group.name] - group.min_size for group in groups}
