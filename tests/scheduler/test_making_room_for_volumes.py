"""Who goes for a pod whose volumes are in the way, and who does not."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.desk import Desk

from .placing import node
from .storage import Heard, claim, storage_class, user, volume

CSI: dict[str, Any] = {"csi": {"driver": "disk.io", "volumeHandle": "h"}}


def desk(nodes: list[Doc], *objects: Heard) -> Desk:
    made = Desk()
    for one in nodes:
        made.view.put_node(one)
    for kind, doc in objects:
        made.view.volumes.hear(kind, doc, gone=False)
    return made


def disk(name: str, **more: Any) -> list[Heard]:
    return [volume(f"v-{name}", **CSI), claim(name, volume=f"v-{name}", **more)]


def limited(name: str, count: int) -> Heard:
    drivers = [{"name": "disk.io", "nodeID": name, "allocatable": {"count": count}}]
    return kinds.CSI_NODE, {"metadata": {"name": name}, "spec": {"drivers": drivers}}


def chosen(there: Desk) -> tuple[dict[str, str], set[str]]:
    """Which node is kept for whom, and who has to go."""
    turn = there.turn()
    kept = {one.pod.name: one.nominated for one in turn.refused if one.nominated}
    return kept, {one.name for one in turn.victims}


def alone(*pods: Doc) -> Desk:
    there = desk([node("a"), node("b")], storage_class(), *disk("data", modes=["ReadWriteOncePod"]))
    for one in pods:
        there.see_pod(one)
    return there


def test_who_has_the_claim_goes() -> None:
    there = alone(user("data", name="low", node="b"), user("data", name="urgent", priority=9))
    assert chosen(there) == ({"urgent": "b"}, {"low"})


def test_the_claim_stays_with_who_is_as_important() -> None:
    there = alone(
        user("data", name="other", node="b", priority=9), user("data", name="urgent", priority=9)
    )
    assert chosen(there) == ({}, set())


def test_two_who_have_it_are_too_many() -> None:
    """On different nodes: no node has both of them."""
    there = alone(
        user("data", name="x", node="a"), user("data", name="y", node="b"),
        user("data", name="urgent", priority=9),
    )  # fmt: skip
    assert chosen(there) == ({}, set())


def full(*pods: Doc) -> Desk:
    names = ("one", "two", "own")
    there = desk(
        [node("a")], storage_class(), limited("a", 2), *(h for name in names for h in disk(name))
    )
    for one in pods:
        there.see_pod(one)
    return there


def test_one_with_a_volume_goes_and_the_least_important_one() -> None:
    there = full(
        user("one", name="low", node="a"), user("two", name="mid", node="a", priority=1),
        user(name="none", node="a"), user("own", name="urgent", priority=9),
    )  # fmt: skip
    assert chosen(there) == ({"urgent": "a"}, {"low"})


def test_a_volume_that_others_use_too_is_not_free() -> None:
    there = full(
        user("one", name="x", node="a"), user("one", name="y", node="a"),
        user("two", name="vip", node="a", priority=99), user("own", name="urgent", priority=9),
    )  # fmt: skip
    assert chosen(there) == ({}, set())


def test_the_own_volume_that_is_there_already_needs_no_place() -> None:
    there = full(
        user("own", name="twin", node="a"), user("one", name="low", node="a"),
        user("own", "two", name="urgent", priority=9),
    )  # fmt: skip
    assert chosen(there) == ({"urgent": "a"}, {"low"})
