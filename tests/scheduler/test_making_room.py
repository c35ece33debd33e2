"""The desk makes room: who goes, for whom nodes are kept, and who is asked again when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.desk import Desk, unbound
from longshore.machinery.scheduler.pool import Line, Lot, Pending
from longshore.machinery.scheduler.turns import Turn

from .placing import class_of, node, pod
from .test_desk import bound, desk_with

FULL = {"cpu": "4"}


def high(name: str, priority: int = 10, **spec: Any) -> Doc:
    return pod(name, FULL, priority=priority, **spec)


def gone(turn: Turn) -> set[tuple[str, str]]:
    """Who has to go, and for whom."""
    return {(one.name, one.preemptor.name) for one in turn.victims}


def kept(turn: Turn) -> dict[str, str | None]:
    return {one.pod.name: one.nominated for one in turn.refused}


def ending(doc: Doc) -> Doc:
    metadata = {**doc["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    return {**doc, "metadata": metadata}


def full_node() -> Desk:
    """Node a is full with a pod of no importance, and somebody urgent has come."""
    return desk_with(node("a"), pod("low", FULL, node="a"), high("urgent"))


def test_the_unimportant_go_and_the_node_is_kept() -> None:
    turn = full_node().turn()
    assert gone(turn) == {("low", "urgent")}
    assert kept(turn) == {"urgent": "a"}
    assert bound(turn) == {}
    assert turn.refused[0].message == "0/1 nodes are available: 1 Insufficient cpu."


def test_whoever_waits_for_its_victims_takes_no_others() -> None:
    desk = full_node()
    desk.turn()
    assert not desk.has_work()
    desk.see_pod(ending(pod("low", FULL, node="a")))
    assert not desk.has_work()
    desk.look_again("uid-urgent")
    turn = desk.turn()
    assert (gone(turn), kept(turn)) == (set(), {"urgent": None})
    assert turn.refused[0].message.endswith(
        "preemption: not eligible due to a terminating pod on the nominated node."
    )


def test_the_urgent_has_its_place_when_the_last_victim_is_gone() -> None:
    desk = full_node()
    desk.turn()
    desk.forget("uid-low")
    assert bound(desk.turn()) == {"urgent": "a"}
    assert desk.view.used[0].tolist() == [4000]


def test_what_is_kept_is_nobody_elses() -> None:
    desk = full_node()
    desk.turn()
    desk.see_pod(pod("small", {"cpu": "1"}))
    desk.see_pod(high("as-urgent"))
    desk.forget("uid-low")
    assert bound(desk.turn()) == {"urgent": "a"}


def test_those_more_urgent_come_before() -> None:
    desk = full_node()
    desk.turn()
    desk.see_pod(high("most", priority=20))
    turn = desk.turn()
    assert kept(turn) == {"most": "a"}
    assert gone(turn) == set(), "who leaves anyhow makes room for this one too"
    assert [one.name for one in turn.displaced] == ["urgent"]
    turn = desk.turn()
    assert kept(turn) == {"urgent": None}
    desk.forget("uid-low")
    assert bound(desk.turn()) == {"most": "a"}


def test_a_nomination_is_known_after_a_restart() -> None:
    urgent = high("urgent")
    urgent["status"]["nominatedNodeName"] = "a"
    desk = desk_with(node("a"), ending(pod("low", FULL, node="a")), pod("small", {"cpu": "1"}))
    desk.see_pod(urgent)
    assert bound(desk.turn()) == {}
    desk.forget("uid-low")
    assert bound(desk.turn()) == {"urgent": "a"}


def test_a_nominated_pod_that_goes_gives_its_place_back() -> None:
    desk = full_node()
    desk.turn()
    desk.forget("uid-urgent")
    desk.forget("uid-low")
    assert not desk.view.used.any()


def test_who_never_preempts_waits() -> None:
    desk = desk_with(
        node("a"), pod("low", FULL, node="a"), high("polite", preemptionPolicy="Never")
    )
    turn = desk.turn()
    assert gone(turn) == set()
    assert turn.refused[0].message.endswith("not eligible due to preemptionPolicy=Never.")


def test_a_node_that_does_not_help_any_more_is_not_kept() -> None:
    desk = full_node()
    desk.turn()
    desk._gained(desk.view.put_node(node("a", unschedulable=True)))
    desk.forget("uid-low")
    assert kept(desk.turn()) == {"urgent": ""}


def test_many_preemptors_have_a_node_each() -> None:
    nodes = [node(f"n{i}") for i in range(100)]
    lows = [pod(f"low-{i}", FULL, node=f"n{i}") for i in range(100)]
    desk = desk_with(*nodes, *lows, *(high(f"high-{i}") for i in range(60)))
    turn = desk.turn()
    assert len(turn.victims) == len({one.uid for one in turn.victims}) == 60
    assert len(set(kept(turn).values())) == 60
    for victim in turn.victims:
        desk.forget(victim.uid)
    assert bound(desk.turn()) == kept(turn)


def test_a_victim_that_stays_can_be_chosen_again() -> None:
    desk = full_node()
    desk.turn()
    desk.making.stays("uid-low")
    desk.see_pod(pod("low", FULL, node="a"))
    desk.look_again("uid-urgent")
    assert gone(desk.turn()) == {("low", "urgent")}


def test_an_assumed_pod_can_be_a_victim() -> None:
    desk = desk_with(node("a"), pod("low", FULL))
    ((low, _),) = desk.turn().bound
    desk.see_pod(high("urgent"))
    assert gone(desk.turn()) == {("low", "urgent")}
    unbound(desk, [(low, None)])
    assert bound(desk.turn()) == {"urgent": "a"}


# --- turns ---


def pending(name: str, priority: int = 0, owner: str = "") -> Pending:
    doc = pod(name, owner=owner)
    return Pending(name, "shop", name, {}, priority, class_of(doc), 0)


def names(served: Mapping[Lot, list[Pending]]) -> list[str]:
    return [pod.name for pods in served.values() for pod in pods]


def test_a_late_pod_is_not_stuck_behind_a_crowd() -> None:
    line, crowd = Line(), class_of(pod("x", owner="job"))
    for number in range(1000):
        line.add(Pending(f"c{number}", "shop", f"c{number}", {}, 0, crowd, number))
    assert len(names(line.serve(10))) == 10
    line.add(pending("alone"))
    assert "alone" in names(line.serve(10))
    assert len(line) == 1000 + 1 - 20


def test_the_more_urgent_are_served_first() -> None:
    line = Line()
    line.add_all([pending("low"), pending("high", 5, "x"), pending("higher", 5, "y")])
    assert names(line.serve(2)) == ["high", "higher"]
    assert names(line.serve(2)) == ["low"]
    assert not len(line)


def test_within_a_flow_the_earlier_comes_first() -> None:
    line, crowd = Line(), class_of(pod("x", owner="job"))
    line.add_all(Pending(f"c{n}", "shop", f"c{n}", {}, 0, crowd, n) for n in range(5))
    assert names(line.serve(3)) == ["c0", "c1", "c2"]
    line.pop("c3")
    assert names(line.serve(3)) == ["c4"]


def test_flows_have_equal_turns() -> None:
    line = Line()
    for owner in ("a", "b"):
        crowd = class_of(pod("x", owner=owner))
        line.add_all(
            Pending(f"{owner}{n}", "shop", f"{owner}{n}", {}, 0, crowd, n) for n in range(100)
        )
    served = names(line.serve(20))
    assert sum(name.startswith("a") for name in served) == 10
