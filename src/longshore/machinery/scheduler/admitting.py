"""One turn of those who wait for more than a node: queues admit, groups are placed whole. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeAlias

from longshore.machinery.scheduler.gangs.groups import Group
from longshore.machinery.scheduler.gangs.plan import by_lot, place_gang
from longshore.machinery.scheduler.holding import Holding
from longshore.machinery.scheduler.pool import Line, Lot, Pending
from longshore.machinery.scheduler.preemption.gangs import (
    DEPENDENT,
    NOT_FOR_ALL,
    Gang,
    room_for_gang,
)
from longshore.machinery.scheduler.preemption.making import TERMINATING, Made, RoomMaker
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
    making: RoomMaker

    def rows_for(self, lot: Lot, count: int) -> list[int]: ...
    def rows_there(self, pod: Pending, node: str) -> list[int]: ...
    def why_not(self, lot: Lot) -> str: ...
    def recalled(self, uid: str) -> Pending | None: ...
    def nodes_for(self, lot: Lot, count: int) -> list[str]: ...
    def make_room(self, pods: Sequence[Pending]) -> Made: ...
    def note_made(self, made: Made, turn: Turn) -> None: ...
    def release(self, uid: str) -> None: ...
    def gained(self, rows: Iterable[int]) -> None: ...
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
            desk.release(uid)
            desk.holding.enter_again(waiting, unit.local)


def _place(desk: Desk, group: Group, turn: Turn) -> None:
    """Parked at first: a group that makes trouble is tried again when others are that wait."""
    pods = desk.holding.admitted(group)
    if not pods or len(pods) < group.needed:
        return
    groups = desk.holding.groups
    groups.park(group)
    expected = desk.making.expected(pods)
    kept = desk.making.nominations
    promised = {pod.uid: kept.node_of(pod.uid) for pod in pods}
    released = {pod.uid: row for pod in pods if (row := kept.release(pod.uid)) is not None}
    # With whom others left for it, there is room as it was thought out, and perhaps in no other way.
    places = (partial(_promised, desk, pods, promised), desk.rows_for)
    outcome = place_gang(desk.view, pods, group.needed, places, desk.why_not)
    for lot, placed, rows in outcome.placed:
        desk.take(lot, placed, rows, turn)
        for pod in placed:
            groups.place(pod.uid, *group.key)
    if not outcome.left:
        groups.unpark(group)
    why = outcome.why
    if outcome.left and group.needed:
        why = f"{why} preemption: {_make_room(desk, group, pods, expected, turn)}".strip()
    if outcome.placed or not expected:
        desk.gained(released.values())
    for pod in outcome.left:
        nominated = kept.node_of(pod.uid) or ("" if pod.uid in released else None)
        turn.refused.append(Refusal(pod, why, nominated))
    if group.least:
        turn.groups.append(GroupNews(group.key, not group.needed, why))


def _promised(
    desk: Desk, pods: Sequence[Pending], promised: dict[str, str], lot: Lot, _count: int
) -> list[int]:
    """The next row that was kept for a pod of a lot and has room for it; each is told once."""
    for pod in pods:
        node = promised.pop(pod.uid, "") if pod.lot == lot else ""
        if node and (rows := desk.rows_there(pod, node)):
            return rows
    return []


def _make_room(
    desk: Desk, group: Group, pods: Sequence[Pending], expected: Mapping[str, str], turn: Turn
) -> str:
    """Have others leave for a group that does not fit; what is said of that. expected: nodes that are
    kept for its pods, which somebody is still leaving."""
    if expected:
        for pod in pods:
            if expected[pod.uid]:
                desk.making.nominations.keep(pod, expected[pod.uid])
        return TERMINATING
    gang = Gang([*by_lot(pods).items()], group.needed)
    if gang.depends:
        return DEPENDENT
    made = room_for_gang(desk.making, gang, desk.nodes_for, desk.make_room)
    if made is None:
        turn.sought.append(0)
        return NOT_FOR_ALL
    desk.note_made(made, turn)
    return f"room is being made for {len(made.nominated)} pods."
