"""Nodes that fall silent, and what becomes of their pods."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from .world import World, condition, deployment, running


def taints(node: Doc) -> set[str]:
    return {f"{one['key']}:{one['effect']}" for one in node["spec"].get("taints") or ()}


async def pass_time(world: World, seconds: int) -> None:
    """Time passes while living agents renew their leases."""
    for _ in range(seconds // 10):
        for node in world.cache.all(kinds.NODE):
            name = node["metadata"]["name"]
            if name not in world.dead_nodes:
                await world.renew(name)
        await world.clock.advance(10)
    await world.quiet()


UNREACHABLE = {
    "node.kubernetes.io/unreachable:NoSchedule",
    "node.kubernetes.io/unreachable:NoExecute",
}


async def test_a_lease_is_a_sign_of_life() -> None:
    async with running() as world:
        await pass_time(world, 200)
        assert condition(world.get(kinds.NODE, "n0"), "Ready")["status"] == "True"
        assert taints(world.get(kinds.NODE, "n0")) == set()


async def test_a_silent_node_is_unknown_tainted_and_its_pods_not_ready() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=4))
        await world.play()
        world.dead_nodes.add("n1")
        await pass_time(world, 60)
        node = world.get(kinds.NODE, "n1")
        ready = condition(node, "Ready")
        assert (ready["status"], ready["reason"], ready["message"]) == (
            "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.",
        )  # fmt: skip
        assert taints(node) == UNREACHABLE
        for pod in world.pods():
            lost = pod["spec"]["nodeName"] == "n1"
            assert condition(pod, "Ready")["status"] == ("False" if lost else "True")
        told = ["Node is not ready", "Node is not ready", "Node n1 status is now: NodeNotReady"]
        assert world.events("NodeNotReady") == told, "of two pods and of their node"


async def test_pods_leave_after_their_toleration_and_are_replaced_at_once() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=4))
        await world.play()
        world.dead_nodes.add("n1")
        await pass_time(world, 300)
        assert len(world.cache.all(kinds.POD, "default")) == 4, "300 s are tolerated"
        await pass_time(world, 50)
        pods = world.cache.all(kinds.POD, "default")
        leaving = [p for p in pods if "deletionTimestamp" in p["metadata"]]
        assert {p["spec"]["nodeName"] for p in leaving} == {"n1"}
        assert [p["spec"]["nodeName"] for p in world.pods()] == ["n0"] * 4
        await pass_time(world, 70)
        assert len(world.cache.all(kinds.POD, "default")) == 4, "removed without the agent's word"


async def test_a_node_that_comes_back_is_clean_again() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=4))
        await world.play()
        world.dead_nodes.add("n1")
        await pass_time(world, 100)
        world.dead_nodes.clear()
        await world.report(world.get(kinds.NODE, "n1"))
        await world.play()
        await pass_time(world, 400)
        assert taints(world.get(kinds.NODE, "n1")) == set()
        assert len(world.cache.all(kinds.POD, "default")) == 4
        assert all(condition(pod, "Ready")["status"] == "True" for pod in world.pods())


async def test_when_all_are_silent_nobody_is_told_to_leave() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=4))
        await world.play()
        world.dead_nodes.update({"n0", "n1"})
        await pass_time(world, 600)
        assert len(world.pods()) == 4
        for name in ("n0", "n1"):
            assert taints(world.get(kinds.NODE, name)) == {
                "node.kubernetes.io/unreachable:NoSchedule"
            }
        world.dead_nodes.discard("n0")
        await world.report(world.get(kinds.NODE, "n0"))
        await pass_time(world, 50)
        assert taints(world.get(kinds.NODE, "n1")) == UNREACHABLE


async def test_not_ready_and_cordoned_are_taints_too() -> None:
    async with running() as world:
        await world.report(world.get(kinds.NODE, "n0"), "False")
        await world.patch(kinds.NODE, "n0", {"spec": {"unschedulable": True}})
        await world.quiet()
        assert taints(world.get(kinds.NODE, "n0")) == {
            "node.kubernetes.io/not-ready:NoSchedule",
            "node.kubernetes.io/not-ready:NoExecute",
            "node.kubernetes.io/unschedulable:NoSchedule",
        }
        await world.patch(kinds.NODE, "n0", {"spec": {"unschedulable": None}})
        await world.report(world.get(kinds.NODE, "n0"), "True")
        await world.quiet()
        assert taints(world.get(kinds.NODE, "n0")) == set()


async def test_a_pod_that_does_not_tolerate_a_taint_leaves_at_once() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=4))
        await world.play()
        taint = {"key": "maintenance", "effect": "NoExecute"}
        await world.patch(kinds.NODE, "n1", {"spec": {"taints": [taint]}})
        await world.play()
        assert [p["spec"]["nodeName"] for p in world.pods()] == ["n0"] * 4


async def test_time_is_counted_from_when_an_undated_taint_was_first_seen() -> None:
    patience = {
        "key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60,
    }  # fmt: skip
    wanted = deployment(replicas=4)
    wanted["spec"]["template"]["spec"]["tolerations"] = [patience]
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, wanted)
        await world.play()
        taint = {"key": "maintenance", "effect": "NoExecute"}
        await world.patch(kinds.NODE, "n1", {"spec": {"taints": [taint]}})
        await pass_time(world, 50)
        assert {p["spec"]["nodeName"] for p in world.pods()} == {"n0", "n1"}
        await pass_time(world, 20)
        going = {
            p["spec"]["nodeName"] for p in world.pods() if "deletionTimestamp" in p["metadata"]
        }
        assert going == {"n1"} or {p["spec"]["nodeName"] for p in world.pods()} == {"n0"}


async def test_a_taint_that_is_taken_away_in_time_moves_nobody() -> None:
    patience = {
        "key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60,
    }  # fmt: skip
    wanted = deployment(replicas=4)
    wanted["spec"]["template"]["spec"]["tolerations"] = [patience]
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, wanted)
        await world.play()
        before = {pod["metadata"]["uid"] for pod in world.pods()}
        taint = {"key": "maintenance", "effect": "NoExecute"}
        await world.patch(kinds.NODE, "n1", {"spec": {"taints": [taint]}})
        await pass_time(world, 30)
        await world.patch(kinds.NODE, "n1", {"spec": {"taints": None}})
        await pass_time(world, 100)
        assert {pod["metadata"]["uid"] for pod in world.pods()} == before


async def test_nodes_of_a_zone_are_emptied_one_after_another_and_hardly_if_most_are_lost() -> None:
    zone = {"topology.kubernetes.io/zone": "a"}
    async with running(nodes=0) as world:
        await world.node("far")
        for number in range(5):
            await world.node(f"a{number}", labels=zone)

        def told() -> list[str]:
            nodes = world.cache.all(kinds.NODE)
            return sorted(one["metadata"]["name"] for one in nodes if UNREACHABLE & taints(one))

        def evicted() -> list[str]:
            key = "node.kubernetes.io/unreachable:NoExecute"
            nodes = world.cache.all(kinds.NODE)
            return sorted(one["metadata"]["name"] for one in nodes if key in taints(one))

        world.dead_nodes.update({"a0", "a1"})
        await pass_time(world, 40)
        assert (told(), len(evicted())) == (["a0", "a1"], 1)
        await pass_time(world, 10)
        assert evicted() == ["a0", "a1"]
        world.dead_nodes.add("a2")
        await pass_time(world, 120)
        assert told() == ["a0", "a1", "a2"]
        assert evicted() == ["a0", "a1"], "three of five: they would not fit elsewhere"
        world.dead_nodes.update({"a3", "a4"})
        await pass_time(world, 120)
        assert evicted() == ["a0", "a1", "a2", "a3", "a4"], "all: elsewhere is room"
        world.dead_nodes.add("far")
        await pass_time(world, 120)
        assert evicted() == [], "the fault is here"
        world.dead_nodes.discard("far")
        await world.report(world.get(kinds.NODE, "far"))
        await pass_time(world, 60)
        assert evicted() == ["a0", "a1", "a2", "a3", "a4"]
