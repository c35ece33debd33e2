"""Groups of nodes that follow what pods ask for: see plan.py for what is decided, growing.py and shrinking.py
for what is done.

Nothing polls. What is looked at is urgent when the scheduler has refused a pod; what a change of a node or
of its load comes to may wait for calm_s; and the clock wakes when a time is up.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Delete
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common.pods import is_ready, node_name
from longshore.machinery.controllers.nodegroups import plan as planning
from longshore.machinery.controllers.nodegroups import taints
from longshore.machinery.controllers.nodegroups.book import Book, News
from longshore.machinery.controllers.nodegroups.growing import Grower
from longshore.machinery.controllers.nodegroups.hands import Hands
from longshore.machinery.controllers.nodegroups.plan import Growth, Pool
from longshore.machinery.controllers.nodegroups.protocol import (
    NodeGroup,
    ProviderFailure,
    Trial,
)
from longshore.machinery.controllers.nodegroups.roll import Machine, Roll, State, overdue
from longshore.machinery.controllers.nodegroups.shrinking import DISABLED, Shrinker
from longshore.machinery.controllers.nodegroups.status import Seen, counts
from longshore.machinery.controllers.nodegroups.telling import Teller
from longshore.machinery.loop.answers import DONE, Answer, WakeAfter, sooner

_log = logging.getLogger("longshore.nodegroups")
# The key under which the whole is looked at; the others are names of nodes that are being removed.
_ALL = ""
# Looking takes at most such a share of the time.
_SHARE = 0.2


class NodeGroups:
    """The reconciler."""

    name = "nodegroups"
    watches: tuple[Kind, ...] = (kinds.NODE, kinds.POD)

    def __init__(self, hands: Hands) -> None:
        hands = replace(hands, recorder=hands.recorder.named("cluster-autoscaler"))
        self._cache, self._client, self._clock = hands.cache, hands.client, hands.clock
        self._rules, self._tools, self._metrics = hands.rules, hands.tools, hands.metrics
        self._book, self._roll = Book(hands.rules.priority_cutoff), Roll(hands.rules)
        self._teller = Teller(hands.client, hands.clock, hands.recorder)
        self._grower = Grower(hands, self._teller)
        self._shrinker = Shrinker(hands, self._book, self._teller)
        self._urgent = True
        self._calm_until = self._quick_until = hands.clock.monotonic()

    def keys(self, event: Frame) -> Iterable[str]:
        if event.kind is kinds.NODE:
            leaving = (event.stored.name,) if event.stored.name in self._shrinker.removals else ()
            return (*leaving, _ALL) if _is_news(event) else leaving
        news = self._book.hear(event.doc, gone=event.type == "DELETED")
        self._urgent |= news is News.WAITS
        concerned = () if news is News.NONE else (_ALL,)
        if self._shrinker.removals and (node := node_name(event.doc)) in self._shrinker.removals:
            return (*concerned, node)
        return concerned

    async def reconcile(self, key: str) -> Answer:
        if key != _ALL:
            wait_s = await self._shrinker.step(key)
            return DONE if wait_s is None else WakeAfter(wait_s)
        now = self._clock.monotonic()
        wait_s = (self._quick_until if self._urgent else self._calm_until) - now
        return WakeAfter(wait_s) if wait_s > 0 else await self._look(now)

    async def _look(self, now: float) -> Answer:
        """Look at everything; how long that took says when it may be done again."""
        self._urgent = False
        try:
            return await self._follow_up()
        except ProviderFailure as error:
            self._metrics.stumbled()
            _log.warning("the provider of nodes: %s", error)
            return WakeAfter(self._rules.calm_s)
        except ApiError:
            self._urgent = True  # what was not done is done as soon as the loop tries again
            raise
        finally:
            done = self._clock.monotonic()
            self._quick_until = done + (done - now) / _SHARE
            self._calm_until = max(self._quick_until, done + self._rules.calm_s)

    async def _follow_up(self) -> Answer:
        groups = await self._tools.provider.groups()
        machines = self._called(groups)
        if await self._tidied(groups, machines):
            groups = await self._tools.provider.groups()
            machines = self._called(groups)
        if not self._teller.has_told:  # Events are about the status
            await self._report(groups, machines, 0.0)
        growth = await self._judged(groups, machines)
        for increase in growth.increases:
            await self._grower.increase(increase)
        await self._shrinker.mark(machines)
        cooldown_s = self._shrinker.cooldown_s(self._grower.last_at)
        if not growth.increases and not cooldown_s:
            await self._shrinker.begin_due()
        if growth.increases:
            groups = await self._tools.provider.groups()
            machines = self._called(groups)
        await self._report(groups, machines, cooldown_s)
        return self._next(groups, machines, cooldown_s)

    def _called(self, groups: Sequence[NodeGroup]) -> list[Machine]:
        leaving, now = self._shrinker.removals, self._clock.monotonic()
        return self._roll.call(groups, self._node, leaving, now, self._clock.now())

    def _node(self, name: str) -> Doc | None:
        return self._cache.get(kinds.NODE, "", name)

    def _waiting(self) -> list[Doc]:
        found = [self._cache.get(kinds.POD, *key) for key in self._book.waiting.values()]
        return [pod for pod in found if pod is not None and not node_name(pod)]

    # --- looking ---

    async def _judged(self, groups: Sequence[NodeGroup], machines: Sequence[Machine]) -> Growth:
        """Try what would fit where, if that can change anything; what is to grow, and who is not
        needed."""
        pools, pods = self._grower.pools(groups), self._waiting()
        candidates = self._shrinker.candidates(groups, machines)
        growth = Growth(refused={_uid(pod): planning.all_barred(pools) for pod in pods})
        if not candidates:
            self._shrinker.need_all()
        if candidates or _may_fit(pods, pools, machines):
            trial = await self._tools.look(pods)
            self._expect(trial, pools, machines)
            growth = planning.grow(trial, pools, pods)
            if not growth.increases:
                await self._shrinker.judge(trial, groups, machines, candidates)
        self._grower.tell_refused(pods, growth.refused)
        return growth

    def _expect(self, trial: Trial, pools: Sequence[Pool], machines: Sequence[Machine]) -> None:
        """What is coming will be there; what is leaving will not."""
        templates = {pool.group.name: pool.template for pool in pools}
        for one in machines:
            template = templates[one.group]
            if one.state is State.COMING and template is not None:
                trial.add(template, one.name)
        for one in machines:
            if one.state is State.LEAVING:
                trial.vacate(one.name, list(self._shrinker.movers(one.name)))

    # --- tidying ---

    async def _tidied(self, groups: Sequence[NodeGroup], machines: Sequence[Machine]) -> bool:
        """End what never came, and forget what is gone; whether a group has changed."""
        late = overdue(machines, self._rules)
        for one in late:
            await self._give_up(one)
        known = {name for group in groups for name in group.nodes}
        for stored in self._cache.shelf(kinds.NODE).held():
            if stored.name not in known and _MARK in stored.rest and _is_buried(stored.doc):
                await self._delete_node(stored.name)
        return bool(late)

    async def _give_up(self, machine: Machine) -> None:
        """One that was asked for and never came."""
        text = (
            f"Nodes added to group {machine.group} failed to register within {machine.for_s:.0f}s"
        )
        self._teller.event("Warning", "ScaleUpTimedOut", text)
        self._grower.failed(machine.group, "timeout")
        await self._tools.provider.delete([machine.name])
        await self._delete_node(machine.name)

    async def _delete_node(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            await self._client.write(Delete(kinds.NODE, "", name))

    # --- telling ---

    async def _report(
        self, groups: Sequence[NodeGroup], machines: Sequence[Machine], cooldown_s: float
    ) -> None:
        metrics, unneeded = self._metrics, self._shrinker.unneeded
        metrics.nodes = counts(machines)
        metrics.groups, metrics.most = len(groups), sum(group.max_size for group in groups)
        metrics.waiting, metrics.unneeded = len(self._book.waiting), len(unneeded)
        metrics.in_cooldown = cooldown_s > 0
        failed = frozenset(
            group.name for group in groups if self._grower.left_alone_s(group.name) > 0
        )
        candidates = {one.name: one.group for one in machines if one.name in unneeded}
        await self._teller.tell(Seen(groups, machines, failed, candidates))

    def _next(
        self, groups: Sequence[NodeGroup], machines: Sequence[Machine], cooldown_s: float
    ) -> Answer:
        """When a time is up."""
        times = [
            self._rules.provision_s - one.for_s for one in machines if one.state is State.COMING
        ]
        times += [self._grower.left_alone_s(group.name) for group in groups if self._book.waiting]
        if (due_s := self._shrinker.next_s()) is not None:
            times.append(max(due_s, cooldown_s))
        return sooner(*(one for one in times if one > 0))


_MARK = taints.TO_BE_DELETED.encode()


def _is_buried(node: Doc) -> bool:
    """Whether its machine was ended by an autoscaler that could not delete the Node any more."""
    return taints.has(node, taints.TO_BE_DELETED) and not is_ready(node)


def _may_fit(pods: Sequence[Doc], pools: Sequence[Pool], machines: Sequence[Machine]) -> bool:
    """Whether pods that wait can be helped, or are helped already."""
    coming = any(one.state is State.COMING for one in machines)
    return bool(pods) and (coming or any(not pool.barred for pool in pools))


def _is_news(event: Frame) -> bool:
    """Heartbeats are none."""
    return event.type != "MODIFIED" or event.old is None or _seen(event.old) != _seen(event.doc)


def _seen(node: Doc) -> tuple[object, ...]:
    notes = node["metadata"].get("annotations") or {}
    offered = (node.get("status") or {}).get("allocatable")
    return node.get("spec"), is_ready(node), offered, notes.get(DISABLED)


def _uid(pod: Doc) -> str:
    return str(pod["metadata"]["uid"])
