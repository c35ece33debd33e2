"""Pod groups: who is tried when, and that a gang is placed whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.desk import Desk
from longshore.machinery.scheduler.gangs.groups import TOO_FEW, Group, Groups
from longshore.machinery.scheduler.gangs.plan import Outcome, place_gang
from longshore.machinery.scheduler.pods.podclass import PodClasses
from longshore.machinery.scheduler.pool import Lot, Pending
from longshore.machinery.scheduler.turns import Turn
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import node, pod

CLASSES = PodClasses()


def pending(name: str, order: int = 0, priority: int = 0, cpu: str = "1") -> Pending:
    doc = pod(name, {"cpu": cpu})
    return Pending(f"uid-{name}", "shop", name, {}, priority, CLASSES.of(doc), order)


def group(name: str, least: int | None) -> Doc:
    policy: Doc = {"basic": {}} if least is None else {"gang": {"minCount": least}}
    metadata = {"namespace": "shop", "name": name}
    return {"metadata": metadata, "spec": {"schedulingPolicy": policy}}


def cluster(*cpus: int) -> ClusterView:
    view = ClusterView()
    for number, cpu in enumerate(cpus):
        view.put_node(node(f"n{number}", cpu=str(cpu)))
    return view


class FirstFit:
    """Nodes in their order, and nothing but cpu."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view

    def place(self, lot: Lot, count: int) -> Sequence[int]:
        wanted = lot[1].requests["cpu"]
        free = (self._view.allocatable - self._view.used)[self._view.resources["cpu"]]
        fit = np.maximum(free // wanted, 0).astype(np.intp)
        rows = np.repeat(np.arange(len(free)), fit)
        found: list[int] = rows[:count].tolist()
        return found

    def explain(self, lot: Lot) -> str:
        return f"0/{len(self._view.names)} nodes are available: Insufficient cpu."


def tried(view: ClusterView, pods: Sequence[Pending], needed: int) -> Outcome:
    planner = FirstFit(view)
    return place_gang(view, pods, needed, [planner.place], planner.explain)


def names(groups: Sequence[Group]) -> list[str]:
    return [one.key[1] for one in groups]


def test_pods_wait_for_their_group_and_for_one_another() -> None:
    groups = Groups()
    why = groups.add(pending("a"), "team")
    assert why == 'waiting for pods\'s pod group "team" to appear in scheduling queue'
    groups.hear(group("team", 3), gone=False)
    assert groups.ready() == []
    assert groups.add(pending("b"), "team") == TOO_FEW
    assert groups.add(pending("c"), "team") == ""
    assert names(groups.ready()) == ["team"]
    assert groups.ready() == [], "each is asked for once"


def test_pods_of_a_basic_group_are_tried_at_once() -> None:
    groups = Groups()
    groups.hear(group("team", None), gone=False)
    assert groups.add(pending("a"), "team") == ""
    assert groups.ready()[0].needed == 0


def test_those_with_a_node_count() -> None:
    groups = Groups()
    groups.hear(group("team", 3), gone=False)
    groups.place("uid-a", "shop", "team")
    groups.place("uid-b", "shop", "team")
    assert groups.add(pending("c"), "team") == ""
    assert groups.ready()[0].needed == 1
    groups.forget("uid-b")
    assert groups.add(pending("c"), "team") == TOO_FEW


def test_the_most_urgent_first_then_the_one_that_waits_longest() -> None:
    groups = Groups()
    for name, priority, order in (("late", 0, 3), ("early", 0, 1), ("urgent", 9, 4)):
        groups.hear(group(name, 1), gone=False)
        groups.add(pending(name, order, priority), name)
    assert names(groups.ready()) == ["urgent", "early", "late"]


def test_a_parked_group_wakes_for_room_for_a_lower_least_and_for_another_pod() -> None:
    groups = Groups()
    groups.hear(group("team", 2), gone=False)
    for name in "ab":
        groups.add(pending(name), "team")
    for wake in (
        lambda: groups.wake_for(lambda _: 1),
        lambda: groups.hear(group("team", 1), gone=False),
        lambda: groups.add(pending("c"), "team"),
        groups.wake_all,
    ):
        (team,) = groups.ready()
        groups.park(team)
        groups.wake_for(lambda _: 0)
        assert groups.ready() == []
        wake()
    assert names(groups.ready()) == ["team"]


def test_nothing_is_left_of_what_is_gone() -> None:
    groups = Groups()
    groups.hear(group("team", 2), gone=False)
    groups.add(pending("a"), "team")
    groups.hear(group("team", 2), gone=True)
    groups.forget("uid-a")
    assert "uid-a" not in groups
    assert groups.add(pending("a"), "team").startswith("waiting for pods's pod group")


def test_a_gang_that_fits_is_placed_whole() -> None:
    view = cluster(2, 2)
    outcome = tried(view, [pending(name, order) for order, name in enumerate("abc")], 3)
    (placed,) = outcome.placed
    assert [one.name for one in placed.pods] == ["a", "b", "c"]
    assert placed.rows == [0, 0, 1]
    assert view.used.sum() == 0, "the view is as it was"


def test_each_lot_sees_the_ones_before_and_the_largest_is_first() -> None:
    view = cluster(3, 2)
    pods = [pending("small", 1), pending("large", 2, cpu="2"), pending("huge", 3, cpu="3")]
    outcome = tried(view, pods, 3)
    assert (outcome.placed, len(outcome.left)) == ([], 3), "2 fit, and no third"
    outcome = tried(view, pods, 2)
    assert [(one.pods[0].name, one.rows) for one in outcome.placed if one.pods] == [
        ("huge", [0]),
        ("large", [1]),
    ]
    assert [one.name for one in outcome.left] == ["small"]


def test_a_gang_that_does_not_fit_takes_nothing_and_says_how_many_fit() -> None:
    view = cluster(2)
    outcome = tried(view, [pending(name) for name in "abc"], 3)
    assert outcome.placed == []
    assert len(outcome.left) == 3
    assert outcome.why == (
        "pod group is unschedulable: 2 of 3 pods fit, 3 have to. For the others: 0/1 nodes are "
        "available: Insufficient cpu."
    )
    assert view.used.sum() == 0


def test_more_than_must_may_wait() -> None:
    outcome = tried(cluster(2), [pending(name) for name in "abc"], 2)
    assert (len(outcome.placed[0].pods), len(outcome.left)) == (2, 1)
    assert outcome.why == "0/1 nodes are available: Insufficient cpu."


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.lists(st.tuples(st.lists(st.integers(1, 3), min_size=1, max_size=6), st.integers(1, 6)), max_size=5),
)  # fmt: skip
def test_never_a_part_of_a_gang_and_never_more_than_there_is(
    nodes: list[int], gangs: list[tuple[list[int], int]]
) -> None:
    view = cluster(*nodes)
    for number, (sizes, least) in enumerate(gangs):
        needed = min(least, len(sizes))
        pods = [pending(f"g{number}-{i}", i, cpu=str(size)) for i, size in enumerate(sizes)]
        before = view.used.copy()
        outcome = tried(view, pods, needed)
        assert (view.used == before).all(), "the view is as it was"
        placed = [pod for one in outcome.placed for pod in one.pods]
        assert sorted(one.name for one in [*placed, *outcome.left]) == sorted(
            one.name for one in pods
        )
        assert len(placed) >= needed or not placed
        for one in outcome.placed:
            view.put_pods([pod.uid for pod in one.pods], one.rows, one.lot[1])
        assert (view.used <= view.allocatable).all()


class OddDesk(Desk):
    """One that cannot decide about pods of one name."""

    odd = "odd"

    def rows_for(self, lot: Lot, count: int) -> list[int]:
        if lot[1].requests["cpu"] == 1001:
            raise RuntimeError(self.odd)
        return super().rows_for(lot, count)


def test_a_group_that_makes_trouble_is_nobody_elses() -> None:
    desk, turn = OddDesk(), Turn()
    desk.view.put_node(node("a", "8"))
    for name, cpu in (("odd", "1001m"), ("even", "1")):
        desk.holding.groups.hear(group(name, 2), gone=False)
        # What is hardest to place is tried first: it is taken back, though what follows fails.
        for number, amount in enumerate(("2", cpu)):
            desk.see_pod(
                pod(f"{name}-{number}", {"cpu": amount}, schedulingGroup={"podGroupName": name})
            )
    failed = 0
    for step in desk.admitting(turn, 10):
        try:
            step()
        except RuntimeError:
            failed += 1
    assert failed == 1
    assert sorted(one.name for one, _ in turn.bound) == ["even-0", "even-1"]
    assert desk.view.free[desk.view.resources["cpu"], desk.view.rows["a"]] == 5000
    assert desk.holding.groups.has_parked, "it is tried again with the others"
