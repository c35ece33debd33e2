"""Daemon sets in a running world: which nodes have a pod, updates, what has failed, what they say."""

from __future__ import annotations

import itertools
from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from .world import World, counting, image_of, new_image, running


def daemon_set(name: str = "agent", image: str = "one", pod: Doc | None = None, **spec: Any) -> Doc:
    labels = {"app": name}
    containers = [{"name": "c", "image": image}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers, **(pod or {})}}
    body = {"selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": {**body, **spec}}


def rolling(**amounts: Any) -> Doc:
    return {"type": "RollingUpdate", "rollingUpdate": amounts}


def nodes_of(world: World) -> dict[str, int]:
    """How many pods there are on each node."""
    return counting(world.pods(), lambda pod: str(pod["spec"].get("nodeName")))


def counts(world: World) -> tuple[int, ...]:
    """Desired, current, ready, updated, available."""
    status = world.get(kinds.DAEMON_SET, "agent")["status"]
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady",
              "updatedNumberScheduled", "numberAvailable")  # fmt: skip
    return tuple(status.get(field, 0) for field in fields)


async def test_every_node_has_one_pod_new_nodes_too() -> None:
    async with running(nodes=3) as world:
        await world.create(kinds.DAEMON_SET, daemon_set())
        await world.play()
        assert nodes_of(world) == {"n0": 1, "n1": 1, "n2": 1}
        await world.node("n3")
        await world.play()
        assert nodes_of(world) == {"n0": 1, "n1": 1, "n2": 1, "n3": 1}
        assert world.get(kinds.DAEMON_SET, "agent")["status"] == {
            "currentNumberScheduled": 4, "numberMisscheduled": 0, "desiredNumberScheduled": 4,
            "numberReady": 4, "observedGeneration": 1, "updatedNumberScheduled": 4,
            "numberAvailable": 4,
        }  # fmt: skip


async def test_pods_are_the_schedulers_and_put_up_with_sick_nodes() -> None:
    async with running(nodes=1) as world:
        await world.create(kinds.DAEMON_SET, daemon_set(pod={"hostNetwork": True}))
        await world.play()
        (pod,) = world.pods()
        (revision,) = world.cache.all(kinds.CONTROLLER_REVISION, "default")
        mark = revision["metadata"]["labels"]["controller-revision-hash"]
        assert pod["metadata"]["labels"] == {"app": "agent", "controller-revision-hash": mark}
        assert revision["metadata"]["name"] == f"agent-{mark}"
        required = "requiredDuringSchedulingIgnoredDuringExecution"
        assert pod["spec"]["affinity"]["nodeAffinity"][required] == {
            "nodeSelectorTerms": [
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n0"]}]}
            ]
        }
        tolerated = [(one["key"], one["effect"]) for one in pod["spec"]["tolerations"]]
        assert tolerated == [
            ("node.kubernetes.io/not-ready", "NoExecute"),
            ("node.kubernetes.io/unreachable", "NoExecute"),
            ("node.kubernetes.io/disk-pressure", "NoSchedule"),
            ("node.kubernetes.io/memory-pressure", "NoSchedule"),
            ("node.kubernetes.io/pid-pressure", "NoSchedule"),
            ("node.kubernetes.io/unschedulable", "NoSchedule"),
            ("node.kubernetes.io/network-unavailable", "NoSchedule"),
        ]
        assert world.events("SuccessfulCreate") == [f"Created pod: {pod['metadata']['name']}"]


async def test_a_selector_moves_with_the_nodes_labels() -> None:
    async with running(nodes=2) as world:
        await world.create(kinds.DAEMON_SET, daemon_set(pod={"nodeSelector": {"color": "blue"}}))
        await world.play()
        assert (nodes_of(world), counts(world)[0]) == ({}, 0)
        await world.patch(kinds.NODE, "n1", {"metadata": {"labels": {"color": "blue"}}})
        await world.play()
        assert (nodes_of(world), counts(world)[0]) == ({"n1": 1}, 1)
        await world.patch(kinds.NODE, "n1", {"metadata": {"labels": {"color": "green"}}})
        await world.play()
        assert (nodes_of(world), counts(world)[0]) == ({}, 0)


async def test_node_affinity_is_looked_at_before_a_pod_is_made() -> None:
    async with running(nodes=3) as world:
        term = {"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["2"]}]}
        by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}
        required = {"nodeSelectorTerms": [term, by_name, {}]}
        affinity = {"requiredDuringSchedulingIgnoredDuringExecution": required}
        await world.patch(kinds.NODE, "n0", {"metadata": {"labels": {"size": "3"}}})
        await world.create(
            kinds.DAEMON_SET, daemon_set(pod={"affinity": {"nodeAffinity": affinity}})
        )
        await world.play()
        assert nodes_of(world) == {"n0": 1, "n2": 1}


async def test_taints_keep_new_pods_away_or_drive_old_ones_out() -> None:
    async with running(nodes=2) as world:
        await world.create(kinds.DAEMON_SET, daemon_set())
        await world.play()
        await taint(world, "n1", "NoSchedule")
        await world.play()
        assert nodes_of(world) == {"n0": 1, "n1": 1}, "who is there stays"
        assert world.get(kinds.DAEMON_SET, "agent")["status"]["numberMisscheduled"] == 1
        await world.delete(kinds.POD, await pod_on(world, "n1"))
        await world.play()
        assert nodes_of(world) == {"n0": 1}
        await taint(world, "n0", "NoExecute")
        await world.play()
        assert nodes_of(world) == {}
        for node in ("n0", "n1"):
            await world.patch(kinds.NODE, node, {"spec": {"taints": None}})
        await world.play()
        assert nodes_of(world) == {"n0": 1, "n1": 1}


async def test_a_cordoned_node_has_its_pod_too() -> None:
    async with running(nodes=1) as world:
        await world.patch(kinds.NODE, "n0", {"spec": {"unschedulable": True}})
        await world.create(kinds.DAEMON_SET, daemon_set())
        await world.play()
        assert nodes_of(world) == {"n0": 1}


async def test_an_update_replaces_as_many_at_once_as_may_be_missing() -> None:
    async with running(nodes=5) as world:
        await world.create(kinds.DAEMON_SET, daemon_set(updateStrategy=rolling(maxUnavailable=2)))
        await world.play()
        await world.patch(kinds.DAEMON_SET, "agent", new_image("two"))
        assert await fewest_ready(world) == 3
        assert counting(world.pods(), image_of) == {"two": 5}
        assert counts(world) == (5, 5, 5, 5, 5)


async def test_with_a_surge_no_node_is_ever_without() -> None:
    async with running(nodes=4) as world:
        strategy = rolling(maxSurge="50%", maxUnavailable=0)
        await world.create(kinds.DAEMON_SET, daemon_set(updateStrategy=strategy))
        await world.play()
        await world.patch(kinds.DAEMON_SET, "agent", new_image("two"))
        assert await fewest_ready(world, most=6) == 4
        assert counting(world.pods(), image_of) == {"two": 4}
        assert nodes_of(world) == {"n0": 1, "n1": 1, "n2": 1, "n3": 1}


async def test_a_broken_update_stops_at_what_may_be_missing_and_is_rolled_back() -> None:
    async with running(nodes=4) as world:
        world.broken_images.add("broken")
        await world.create(kinds.DAEMON_SET, daemon_set())
        await world.play()
        before = {pod["metadata"]["uid"] for pod in world.pods()}
        await world.patch(kinds.DAEMON_SET, "agent", new_image("broken"))
        await world.play()
        assert counting(world.pods(), image_of) == {"one": 3, "broken": 1}
        await world.patch(kinds.DAEMON_SET, "agent", new_image("one"))
        await world.play()
        assert counting(world.pods(), image_of) == {"one": 4}
        after = {pod["metadata"]["uid"] for pod in world.pods()}
        assert len(before & after) == 3, "what ran well is not restarted"
        revisions = world.cache.all(kinds.CONTROLLER_REVISION, "default")
        assert sorted(one["revision"] for one in revisions) == [2, 3]


async def test_on_delete_waits_for_somebody_to_delete() -> None:
    async with running(nodes=2) as world:
        await world.create(kinds.DAEMON_SET, daemon_set(updateStrategy={"type": "OnDelete"}))
        await world.play()
        await world.patch(kinds.DAEMON_SET, "agent", new_image("two"))
        await world.play()
        assert counting(world.pods(), image_of) == {"one": 2}
        await world.delete(kinds.POD, await pod_on(world, "n0"))
        await world.play()
        assert counting(world.pods(), image_of) == {"one": 1, "two": 1}
        assert counts(world) == (2, 2, 2, 1, 2)


async def test_failed_pods_are_replaced_more_and_more_slowly() -> None:
    async with running(nodes=1) as world:
        await world.create(kinds.DAEMON_SET, daemon_set())
        await world.quiet()
        failed_at = []
        began = world.clock.now()
        for _ in range(200):
            for pod in world.pods():
                if (pod.get("status") or {}).get("phase") != "Failed":
                    failed_at.append(world.clock.now() - began)
                    await fail(world, pod)
            await world.quiet()
            await world.agents_act()
            await world.clock.advance(0.2)
        waits = [after - before for before, after in itertools.pairwise(failed_at)]
        assert len(waits) >= 4
        assert waits[-1] >= 2 * waits[-3] > 0, waits
        (first, *_) = world.events("FailedDaemonPod")
        assert first.startswith("Found failed daemon pod default/agent-")
        assert first.endswith(" on node n0, will try to kill it")


async def test_a_second_pod_of_a_node_is_one_too_many() -> None:
    async with running(nodes=1) as world:
        await world.create(kinds.DAEMON_SET, daemon_set())
        await world.play()
        (pod,) = world.pods()
        await world.clock.advance(5)
        stray = {"metadata": {"name": "stray", "labels": pod["metadata"]["labels"]}}
        await world.create(kinds.POD, {**stray, "spec": {**pod["spec"], "nodeName": "n0"}})
        await world.play()
        assert [one["metadata"]["name"] for one in world.pods()] == [pod["metadata"]["name"]]


async def test_pods_that_are_let_go_and_found_again() -> None:
    async with running(nodes=1) as world:
        await world.create(kinds.DAEMON_SET, daemon_set())
        await world.play()
        name = await pod_on(world, "n0")
        await world.patch(kinds.POD, name, {"metadata": {"labels": {"app": "debug"}}})
        await world.play()
        assert not world.get(kinds.POD, name)["metadata"].get("ownerReferences")
        assert len(world.pods()) == 2
        await world.delete(kinds.DAEMON_SET, "agent", propagation="Orphan")
        await world.play()
        orphans = {one["metadata"]["uid"] for one in world.pods()}
        await world.create(kinds.DAEMON_SET, daemon_set())
        await world.play()
        assert {one["metadata"]["uid"] for one in world.pods()} == orphans


async def test_pods_that_wait_for_a_node_that_is_gone_are_deleted() -> None:
    async with running(nodes=1) as world:
        hungry = {"containers": [{"name": "c", "image": "one",
                                  "resources": {"requests": {"cpu": "100"}}}]}  # fmt: skip
        await world.create(kinds.DAEMON_SET, daemon_set(pod=hungry))
        await world.quiet()
        assert nodes_of(world) == {"None": 1}
        await world.delete(kinds.NODE, "n0")
        await world.quiet()
        assert world.pods() == []


async def test_a_pod_counts_as_available_when_it_was_ready_for_long_enough() -> None:
    async with running(nodes=2) as world:
        await world.create(kinds.DAEMON_SET, daemon_set(minReadySeconds=30))
        await world.play()
        assert counts(world) == (2, 2, 2, 2, 0)
        assert world.get(kinds.DAEMON_SET, "agent")["status"]["numberUnavailable"] == 2
        await world.clock.advance(31)
        assert counts(world) == (2, 2, 2, 2, 2)


async def test_old_revisions_beyond_the_limit_are_forgotten() -> None:
    async with running(nodes=1) as world:
        await world.create(kinds.DAEMON_SET, daemon_set(revisionHistoryLimit=1))
        await world.play()
        for image in ("two", "three", "four"):
            await world.patch(kinds.DAEMON_SET, "agent", new_image(image))
            await world.play()
        found = world.cache.all(kinds.CONTROLLER_REVISION, "default")
        assert sorted(one["revision"] for one in found) == [3, 4]


async def test_what_a_quota_refuses_comes_when_there_is_room() -> None:
    async with running(nodes=3) as world:
        quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
        await world.create(kinds.RESOURCE_QUOTA, quota)
        await world.quiet()
        await world.create(kinds.DAEMON_SET, daemon_set())
        await world.play(5)
        assert len(world.pods()) == 1
        assert "exceeded quota: few" in world.events("FailedCreate")[0]
        await world.delete(kinds.RESOURCE_QUOTA, "few")
        await world.clock.advance(60)
        await world.play()
        assert nodes_of(world) == {"n0": 1, "n1": 1, "n2": 1}


async def taint(world: World, node: str, effect: str) -> None:
    taints = [{"key": "maintenance", "value": "now", "effect": effect}]
    await world.patch(kinds.NODE, node, {"spec": {"taints": taints}})


async def pod_on(world: World, node: str) -> str:
    (pod,) = (one for one in world.pods() if one["spec"].get("nodeName") == node)
    return str(pod["metadata"]["name"])


async def fail(world: World, pod: Doc) -> None:
    name = pod["metadata"]["name"]
    await world.patch(kinds.POD, name, {"status": {"phase": "Failed"}}, "status")


async def fewest_ready(world: World, most: int = 1_000) -> int:
    """The fewest pods that were ready at once while all came to rest; never more than most."""
    fewest = most
    for _ in range(60):
        await world.quiet()
        pods = world.pods()
        assert len(pods) <= most
        ready = [one for one in pods if one["status"].get("phase") == "Running"]
        fewest = min(fewest, len(ready))
        if not await world.agents_act():
            return fewest
        await world.clock.advance(1.0)
    raise AssertionError("it does not come to rest")
