"""One turn of those who wait for more than a node: queues admit, groups are placed whole. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from longshore.machinery.scheduler.gangs.groups import Group
from longshore.machinery.scheduler.gangs.plan import place_gang
from longshore.machinery.scheduler.holding import Holding
from longshore.machinery.scheduler.pool import Line, Lot, Pending
from longshore.machinery.scheduler.queues.book import Unit
from longshore.machinery.scheduler.turns import Evicted, GroupNews, Refusal, Turn
from longshore.machinery.scheduler.view.view import ClusterView


class Desk(Protocol):
    """What of the scheduler's desk is needed here; see there."""

    view: ClusterView
    waiting: Line
    holding: Holding

    def rows_for(self, lot: Lot, count: int) -> list[int]: ...
    def why_not(self, lot: Lot) -> str: ...
    def recalled(self, uid: str) -> Pending | None: ...
    def take(self, lot: Lot, pods: Sequence[Pending], rows: Sequence[int], turn: Turn) -> None: ...


def admit(desk: Desk, turn: Turn, most: int) -> None:
    """Let queues admit up to so many, and decide about the groups that are complete."""
    holding = desk.holding
    if not holding.has_work():
        return
    due = holding.due()
    decided = holding.decide(most)
    desk.waiting.add_all(decided.admitted)
    for unit, queue in decided.victims:
        _take_back(desk, unit, queue, turn)
    for group, pods in [*due, *holding.due()]:
        _place(desk, group, pods, turn)
    # Since they came, their groups may have become complete.
    settled = {one.pod.uid for one in turn.refused} | {pod.uid for pod, _ in turn.bound}
    told = (one for one in (*holding.told(), *decided.told) if one[0].uid not in settled)
    turn.refused.extend(Refusal(pod, why) for pod, why in told)


def _take_back(desk: Desk, unit: Unit, queue: str, turn: Turn) -> None:
    """Pods of a unit have to go; those that have no node yet wait in their queue again."""
    for uid, name in list(unit.names.items()):
        waiting = desk.recalled(uid) or desk.holding.groups.get(uid)
        if waiting is None:
            turn.evicted.append(Evicted(uid, unit.local.namespace, name, queue))
        else:
            desk.holding.enter_again(waiting, unit.local)


def _place(desk: Desk, group: Group, pods: Sequence[Pending], turn: Turn) -> None:
    outcome = place_gang(desk.view, pods, group.needed, desk.rows_for, desk.why_not)
    for lot, placed, rows in outcome.placed:
        desk.take(lot, placed, rows, turn)
        for pod in placed:
            desk.holding.groups.place(pod.uid, *group.key)
    if outcome.left:
        desk.holding.groups.park(group)
        turn.refused.extend(Refusal(pod, outcome.why) for pod in outcome.left)
    if group.least:
        turn.groups.append(GroupNews(group.key, not group.needed, outcome.why))
