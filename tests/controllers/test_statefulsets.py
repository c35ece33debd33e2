"""Stateful sets in a running world: names, order, updates, claims, and what they say meanwhile."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from .world import World, counting, deployment, image_of, new_image, running


def stateful(name: str = "web", replicas: int = 3, image: str = "one", **spec: Any) -> Doc:
    return deployment(name, replicas, image, serviceName=name, **spec)


def claimed(**spec: Any) -> Doc:
    """One whose pods have a claim "data" each."""
    template = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    return stateful(
        replicas=2, podManagementPolicy="Parallel", volumeClaimTemplates=[template], **spec
    )


def names(world: World) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in world.pods())


async def born(world: World, turns: int) -> list[list[str]]:
    """The pods after each turn of controllers and agents."""
    seen = []
    for _ in range(turns):
        await world.quiet()
        seen.append(names(world))
        await world.agents_act()
    return seen


async def test_pods_come_one_after_another_with_names_that_stay() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful())
        assert await born(world, 3) == [["web-0"], ["web-0", "web-1"], ["web-0", "web-1", "web-2"]]
        await world.play()
        pod = world.get(kinds.POD, "web-1")
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("web-1", "web")
        labels = pod["metadata"]["labels"]
        (revision,) = world.cache.all(kinds.CONTROLLER_REVISION, "default")
        assert labels == {
            "app": "web",
            "statefulset.kubernetes.io/pod-name": "web-1",
            "apps.kubernetes.io/pod-index": "1",
            "controller-revision-hash": revision["metadata"]["name"],
        }
        assert world.get(kinds.STATEFUL_SET, "web")["status"] == {
            "observedGeneration": 1, "replicas": 3, "readyReplicas": 3, "currentReplicas": 3,
            "updatedReplicas": 3, "availableReplicas": 3, "collisionCount": 0,
            "currentRevision": revision["metadata"]["name"],
            "updateRevision": revision["metadata"]["name"],
        }  # fmt: skip
        assert world.events("SuccessfulCreate") == [
            f"create Pod web-{n} in StatefulSet web successful" for n in range(3)
        ]


async def test_a_parallel_set_comes_and_goes_at_once() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful(podManagementPolicy="Parallel"))
        assert await born(world, 1) == [["web-0", "web-1", "web-2"]]
        await world.play()
        await world.patch(kinds.STATEFUL_SET, "web", {"spec": {"replicas": 1}})
        assert await born(world, 1) == [["web-0"]]


async def test_an_update_goes_down_and_waits_for_each() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful())
        await world.play()
        await world.patch(kinds.STATEFUL_SET, "web", new_image("two"))
        seen = []
        for _ in range(20):
            await world.quiet()
            seen.append(
                [image_of(pod) for pod in sorted(world.pods(), key=lambda p: p["metadata"]["name"])]
            )
            if not await world.agents_act():
                break
            await world.clock.advance(1.0)
        steps = [one for at, one in enumerate(seen) if at == 0 or one != seen[at - 1]]
        assert steps == [
            ["one", "one"], ["one", "one", "two"], ["one", "two"], ["one", "two", "two"],
            ["two", "two"], ["two", "two", "two"],
        ]  # fmt: skip
        status = world.get(kinds.STATEFUL_SET, "web")["status"]
        assert status["currentRevision"] == status["updateRevision"]
        assert counting(world.pods(), image_of) == {"two": 3}
