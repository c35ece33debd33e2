"""A gang drives out as many as let it run as a whole, or nobody."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.desk import Desk
from longshore.machinery.scheduler.turns import Turn

from .placing import node, pod
from .test_gangs import group


def desk(nodes: list[Doc], pods: list[Doc], least: int) -> Desk:
    made = Desk()
    for one in nodes:
        made.view.put_node(one)
    made.holding.groups.hear(group("team", least), gone=False)
    for one in pods:
        made.see_pod(one)
    return made


def member(number: int, cpu: str = "1", **spec: Any) -> Doc:
    own: Doc = {"schedulingGroup": {"podGroupName": "team"}, "priority": 9, **spec}
    return pod(f"m{number}", {"cpu": cpu}, **own)


def low(name: str, cpu: str = "1", where: str = "a", priority: int = 0) -> Doc:
    return pod(name, {"cpu": cpu}, node=where, priority=priority)


def victims(turn: Turn) -> set[str]:
    return {one.name for one in turn.victims}


def bound(turn: Turn) -> dict[str, str]:
    return {one.name: where for one, where in turn.bound}


def leave(there: Desk, *names: str) -> None:
    for name in names:
        there.forget(f"uid-{name}")


def free(there: Desk) -> list[int]:
    return [int(n) for n in there.view.free[there.view.resources["cpu"]][: len(there.view.rows)]]


def test_as_many_go_as_let_all_of_it_run() -> None:
    there = desk([node("a", "3")], [low("x"), low("y"), low("z"), member(0), member(1)], 2)
    turn = there.turn()
    assert len(turn.victims) == 2
    assert {one.pod.name: one.nominated for one in turn.refused} == {"m0": "a", "m1": "a"}
    assert turn.groups[0].why.endswith("preemption: room is being made for 2 pods.")
    gone = sorted(victims(turn))
    leave(there, gone[0])
    assert bound(there.turn()) == {}, "it waits for the other one"
    leave(there, gone[1])
    assert bound(there.turn()) == {"m0": "a", "m1": "a"}
    assert not len(there.making.nominations)


def test_nobody_goes_for_a_part_of_it() -> None:
    there = desk([node("a", "2")], [low("x"), low("y"), *map(member, range(3))], 3)
    before = free(there)
    turn = there.turn()
    assert turn.victims == []
    assert {one.nominated for one in turn.refused} == {None}
    assert turn.groups[0].why.endswith("for the pod group as a whole.")
    assert free(there) == before
    assert not len(there.making.nominations)
    assert not there.making._going


def test_what_fits_as_things_are_is_kept_too() -> None:
    there = desk([node("a", "1"), node("b", "1")], [low("x"), member(0), member(1)], 2)
    assert victims(there.turn()) == {"x"}
    there.see_pod(pod("late", {"cpu": "1"}))
    assert bound(there.turn()) == {}, "b is kept"
    leave(there, "x")
    assert sorted(bound(there.turn()).values()) == ["a", "b"]


def test_a_gang_that_is_gone_keeps_nothing() -> None:
    there = desk([node("a", "1"), node("b", "1")], [low("x"), member(0), member(1)], 2)
    there.turn()
    there.see_pod(pod("late", {"cpu": "1"}))
    leave(there, "m0", "m1")
    assert bound(there.turn()) == {"late": "b"}


def test_no_more_are_driven_out_while_some_leave() -> None:
    there = desk(
        [node("a", "1"), node("b", "1")], [low("x"), low("y", where="b"), *map(member, range(2))], 2
    )
    assert victims(there.turn()) == {"x", "y"}
    leave(there, "x")
    turn = there.turn()
    assert turn.victims == []
    assert "terminating pod" in turn.refused[0].message


def test_those_who_may_not_preempt_do_not() -> None:
    never = [member(number, preemptionPolicy="Never") for number in range(2)]
    assert desk([node("a", "1")], [low("x"), *never], 1).turn().victims == []


def test_pods_that_depend_on_one_another_are_refused_by_name() -> None:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "m"}}}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    made = [member(number, affinity=affinity) for number in range(2)]
    for one in made:
        one["metadata"]["labels"] = {"app": "m"}
    turn = desk([node("a", "1"), node("b", "1")], [low("x"), *made], 2).turn()
    assert turn.victims == []
    assert (
        "not supported for pod groups whose pods depend on one another" in turn.refused[0].message
    )


SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=4)
LOW = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(0, 12)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(SIZES, LOW, SIZES, st.integers(1, 4))
def test_all_of_it_or_nothing(
    nodes: list[int], lows: list[tuple[int, int, int]], gang: list[int], least: int
) -> None:
    pods, left = [], dict(enumerate(nodes))
    for number, (at, cpu, priority) in enumerate(lows):
        if left.get(at, 0) >= cpu:
            left[at] -= cpu
            pods.append(low(f"low-{number}", str(cpu), f"n{at}", priority))
    pods += [member(number, str(cpu)) for number, cpu in enumerate(gang)]
    there = desk([node(f"n{at}", str(cpu)) for at, cpu in enumerate(nodes)], pods, least)
    before, turn = free(there), there.turn()
    if not turn.victims:
        if not turn.bound:
            assert free(there) == before
            assert not len(there.making.nominations)
        assert len(turn.bound) == 0 or len(turn.bound) >= least
        return
    assert not turn.bound
    assert all(int(one.name.split("-")[1]) >= 0 for one in turn.victims)
    leave(there, *victims(turn))
    assert len(there.turn().bound) >= least
