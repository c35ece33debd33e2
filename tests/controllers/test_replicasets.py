"""Replica sets in a running world."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from .world import deployment, running


def replica_set(replicas: int, **spec: object) -> Doc:
    doc = deployment("set", replicas)
    return {**doc, "spec": {**doc["spec"], **spec}}


async def test_lost_and_finished_pods_are_replaced() -> None:
    async with running() as world:
        await world.create(kinds.REPLICA_SET, replica_set(3))
        await world.play()
        first, second, third = sorted(pod["metadata"]["name"] for pod in world.pods())
        await world.delete(kinds.POD, first)
        await world.patch(kinds.POD, second, {"status": {"phase": "Failed"}}, "status")
        await world.play()
        live = [pod for pod in world.pods() if pod["status"]["phase"] == "Running"]
        assert len(live) == 3
        assert third in {pod["metadata"]["name"] for pod in live}


async def test_a_pod_counts_as_available_when_it_was_ready_for_long_enough() -> None:
    async with running() as world:
        await world.create(kinds.REPLICA_SET, replica_set(2, minReadySeconds=30))
        await world.play()
        status = world.get(kinds.REPLICA_SET, "set")["status"]
        assert status["readyReplicas"] == 2
        assert "availableReplicas" not in status
        await world.clock.advance(31)
        assert world.get(kinds.REPLICA_SET, "set")["status"]["availableReplicas"] == 2


async def test_scaling_down_ends_the_least_useful_first() -> None:
    async with running() as world:
        await world.create(kinds.REPLICA_SET, replica_set(3))
        await world.play()
        names = sorted(pod["metadata"]["name"] for pod in world.pods())
        note = {"controller.kubernetes.io/pod-deletion-cost": "-5"}
        await world.patch(kinds.POD, names[1], {"metadata": {"annotations": note}})
        await world.patch(kinds.REPLICA_SET, "set", {"spec": {"replicas": 2}})
        await world.play()
        assert {p["metadata"]["name"] for p in world.pods()} == {names[0], names[2]}


async def test_a_pod_leaves_with_its_label_and_a_stray_is_taken_in() -> None:
    async with running() as world:
        await world.create(kinds.REPLICA_SET, replica_set(2))
        await world.play()
        name = world.pods()[0]["metadata"]["name"]
        await world.patch(kinds.POD, name, {"metadata": {"labels": {"app": "debug"}}})
        await world.play()
        assert not world.get(kinds.POD, name)["metadata"].get("ownerReferences")
        assert len(world.pods()) == 3
        await world.patch(kinds.POD, name, {"metadata": {"labels": {"app": "set"}}})
        await world.play()
        assert len(world.pods()) == 2


async def test_many_pods_come_in_one_go() -> None:
    async with running(nodes=10) as world:
        await world.create(kinds.REPLICA_SET, replica_set(700))
        await world.quiet()
        assert len(world.pods()) == 700
        assert all(pod["spec"].get("nodeName") for pod in world.pods())
        assert len(world.events("SuccessfulCreate")) <= 11, "told in a few Events, not 700"


async def test_a_new_set_says_first_what_it_has_made() -> None:
    async with running() as world:
        feed = world.cache.subscribe(kinds.REPLICA_SET)
        await world.create(kinds.REPLICA_SET, replica_set(2))
        await world.play()
        said = [one.doc["status"] for one in feed.take() if one.type == "MODIFIED"]
        feed.close()
    assert [one["replicas"] for one in said] == [2] * len(said)
    assert (said[-1]["readyReplicas"], said[-1]["observedGeneration"]) == (2, 1)


async def test_a_new_set_without_pods_says_that_it_was_seen() -> None:
    async with running() as world:
        await world.create(kinds.REPLICA_SET, replica_set(0))
        await world.play()
        status = world.get(kinds.REPLICA_SET, "set")["status"]
        assert status == {"replicas": 0, "observedGeneration": 1}
