"""Makes room for a gang: for as many of its pods as have to run together, or nobody has to go. No I/O.

It is tried on what the scheduler knows, pod after pod, so that each sees the ones before; if it does not
come to enough, all is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from longshore.machinery.scheduler.pool import Lot, Pending
from longshore.machinery.scheduler.preemption.making import Made, RoomMaker
from longshore.machinery.scheduler.waking import has_company

Place: TypeAlias = Callable[[Lot, int], Sequence[str]]
"""Nodes for up to so many pods of a lot that have room as things are."""
Make: TypeAlias = Callable[[Sequence[Pending]], Made]
"""Room for pods of one lot, at others' cost."""
NOT_FOR_ALL = "No preemption victims found for the pod group as a whole."
DEPENDENT = "not supported for pod groups whose pods depend on one another, on claims, devices or chosen ports."


@dataclass(frozen=True, slots=True)
class Gang:
    """Pods in the order in which they are placed, of which so many have to run together."""

    lots: Sequence[tuple[Lot, Sequence[Pending]]]
    needed: int

    @property
    def depends(self) -> bool:
        """Whether where one goes says where others can, or more than pods has to make room."""
        classes = [lot[1] for lot, _ in self.lots]
        return any(has_company(one) or one.claims or one.devices or one.dynamic for one in classes)


def room_for_gang(maker: RoomMaker, gang: Gang, place: Place, make: Make) -> Made | None:
    """What has to happen, all of which is noted; None if it cannot be, and nothing is."""
    before, made = maker.snapshot(), Made()
    for lot, pods in gang.lots:
        _keep(maker, made, zip(pods, place(lot, len(pods)), strict=False))
        nominated = {pod.uid for pod, _ in made.nominated}
        left = [pod for pod in pods if pod.uid not in nominated]
        _drive_out(made, left[: max(gang.needed - len(made.nominated), 0)], make)
    own = {pod.uid for _, pods in gang.lots for pod in pods}
    if len(made.nominated) >= gang.needed and not any(one.uid in own for one in made.displaced):
        return made
    maker.undo(made, before)
    return None


def _keep(maker: RoomMaker, made: Made, placed: Iterable[tuple[Pending, str]]) -> None:
    for pod, node in placed:
        maker.nominations.keep(pod, node)
        made.nominated.append((pod, node))


def _drive_out(made: Made, left: Sequence[Pending], make: Make) -> None:
    while left:
        more = make(left)
        made.add(more)
        # As many as one search finds are told at once: the others have theirs.
        left = more.later if more.nominated else ()
