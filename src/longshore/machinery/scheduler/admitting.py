"""One turn of those who wait for more than a node: queues admit, groups are placed whole. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, TypeAlias

from longshore.machinery.scheduler.gangs.groups import Group
from longshore.machinery.scheduler.gangs.plan import place_gang
from longshore.machinery.scheduler.holding import Holding
from longshore.machinery.scheduler.pool import Line, Lot, Pending
from longshore.machinery.scheduler.queues.book import Decided, Unit
from longshore.machinery.scheduler.queues.quota import Cohort
from longshore.machinery.scheduler.turns import Evicted, GroupNews, Refusal, Turn
from longshore.machinery.scheduler.view.view import ClusterView

Step: TypeAlias = Callable[[], None]


class Desk(Protocol):
    """What of the scheduler's desk is needed here; see there."""

    view: ClusterView
    waiting: Line
    holding: Holding

    def rows_for(self, lot: Lot, count: int) -> list[int]: ...
    def why_not(self, lot: Lot) -> str: ...
    def recalled(self, uid: str) -> Pending | None: ...
    def take(self, lot: Lot, pods: Sequence[Pending], rows: Sequence[int], turn: Turn) -> None: ...


def admitting(desk: Desk, turn: Turn, most: int) -> Iterator[Step]:
    """Let queues admit up to so many, and decide about the groups that are complete. Each step is
    one of them: that it fails is nobody else's trouble."""
    holding = desk.holding
    if not holding.has_work():
        return
    decided = Decided()
    yield from _groups(desk, turn)
    for cohort in holding.queues.due():
        left = most - len(decided.admitted)
        if left > 0:
            yield partial(_decide, desk, cohort, left, turn, decided)
    # Those of whom enough were admitted by now.
    yield from _groups(desk, turn)
    yield partial(_tell, desk, turn, decided)


def _groups(desk: Desk, turn: Turn) -> Iterator[Step]:
    for group in desk.holding.groups.ready():
        yield partial(_place, desk, group, turn)


def _decide(desk: Desk, cohort: Cohort, most: int, turn: Turn, so_far: Decided) -> None:
    decided = desk.holding.decide(cohort, most)
    desk.waiting.add_all(decided.admitted)
    so_far.admitted += decided.admitted
    so_far.told += decided.told
    for unit, queue in decided.victims:
        _take_back(desk, unit, queue, turn)


def _tell(desk: Desk, turn: Turn, decided: Decided) -> None:
    """Why pods wait for a queue or a group. Since they came, their groups may have become complete."""
    settled = {one.pod.uid for one in turn.refused} | {pod.uid for pod, _ in turn.bound}
    news = (*desk.holding.told(), *desk.holding.queues.lost(), *decided.told)
    turn.refused.extend(
        Refusal(pod, why, tried=False) for pod, why in news if pod.uid not in settled
    )


def _take_back(desk: Desk, unit: Unit, queue: str, turn: Turn) -> None:
    """Pods of a unit have to go; those that have no node yet wait in their queue again."""
    for uid, name in list(unit.names.items()):
        waiting = desk.recalled(uid) or desk.holding.groups.get(uid)
        if waiting is None:
            turn.evicted.append(Evicted(uid, unit.local.namespace, name, queue))
        else:
            desk.holding.enter_again(waiting, unit.local)


def _place(desk: Desk, group: Group, turn: Turn) -> None:
    """Parked at first: a group that makes trouble is tried again when others are that wait."""
    pods = desk.holding.admitted(group)
    if not pods or len(pods) < group.needed:
        return
    groups = desk.holding.groups
    groups.park(group)
    outcome = place_gang(desk.view, pods, group.needed, desk.rows_for, desk.why_not)
    for lot, placed, rows in outcome.placed:
        desk.take(lot, placed, rows, turn)
        for pod in placed:
            groups.place(pod.uid, *group.key)
    if not outcome.left:
        groups.unpark(group)
    turn.refused.extend(Refusal(pod, outcome.why) for pod in outcome.left)
    if group.least:
        turn.groups.append(GroupNews(group.key, not group.needed, outcome.why))
