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


def images(world: World) -> list[str]:
    """By ordinal."""
    return [image_of(pod) for pod in sorted(world.pods(), key=lambda p: str(p["metadata"]["name"]))]


async def hurt(world: World, name: str) -> None:
    """Its agent says that it is not ready, until it next acts."""
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    await world.patch(kinds.POD, name, {"status": {"conditions": [ready]}}, "status")


async def ended(world: World, name: str) -> None:
    """A pod that was told to end does."""
    await world.quiet()
    if not world.missing(kinds.POD, name):
        await world.delete(kinds.POD, name, grace_s=0)


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


async def test_below_the_partition_pods_stay_what_they_were() -> None:
    async with running() as world:
        partition = {"rollingUpdate": {"partition": 2}}
        await world.create(kinds.STATEFUL_SET, stateful(updateStrategy=partition))
        await world.play()
        await world.patch(kinds.STATEFUL_SET, "web", new_image("two"))
        await world.play()
        assert images(world) == ["one", "one", "two"]
        await world.delete(kinds.POD, "web-0")
        await world.play()
        assert images(world) == ["one", "one", "two"], "a lost one comes back as it was"
        status = world.get(kinds.STATEFUL_SET, "web")["status"]
        assert (status["currentReplicas"], status["updatedReplicas"]) == (2, 1)
        assert status["currentRevision"] != status["updateRevision"]
        moved = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}
        await world.patch(kinds.STATEFUL_SET, "web", moved)
        await world.play()
        assert images(world) == ["two", "two", "two"]


async def test_several_may_be_missing_at_once() -> None:
    async with running() as world:
        rolling = {"rollingUpdate": {"maxUnavailable": "50%"}}
        spec = stateful(replicas=5, podManagementPolicy="Parallel", updateStrategy=rolling)
        await world.create(kinds.STATEFUL_SET, spec)
        await world.play()
        await world.patch(kinds.STATEFUL_SET, "web", new_image("two"))
        fewest = 5
        for _ in range(20):
            await world.quiet()
            fewest = min(fewest, len(world.pods()))
            if not await world.agents_act():
                break
            await world.clock.advance(1.0)
        assert fewest == 3, "half of five, rounded down, are two"
        assert images(world) == ["two"] * 5


async def test_on_delete_waits_for_somebody_to_delete() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful(updateStrategy={"type": "OnDelete"}))
        await world.play()
        await world.patch(kinds.STATEFUL_SET, "web", new_image("two"))
        await world.play()
        assert images(world) == ["one", "one", "one"]
        await world.delete(kinds.POD, "web-1")
        await world.play()
        assert images(world) == ["one", "two", "one"]


async def test_a_rollback_takes_up_the_old_revision() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful())
        await world.play()
        first = world.get(kinds.STATEFUL_SET, "web")["status"]["currentRevision"]
        for image in ("two", "one"):
            await world.patch(kinds.STATEFUL_SET, "web", new_image(image))
            await world.play()
        assert world.get(kinds.STATEFUL_SET, "web")["status"]["currentRevision"] == first
        assert world.get(kinds.CONTROLLER_REVISION, first)["revision"] == 3
        assert len(world.cache.all(kinds.CONTROLLER_REVISION, "default")) == 2


async def test_a_broken_update_stops_and_goes_on_when_the_broken_pod_is_deleted() -> None:
    async with running() as world:
        world.broken_images.add("broken")
        await world.create(kinds.STATEFUL_SET, stateful())
        await world.play()
        await world.patch(kinds.STATEFUL_SET, "web", new_image("broken"))
        await world.play()
        assert images(world) == ["one", "one", "broken"]
        await world.patch(kinds.STATEFUL_SET, "web", new_image("one"))
        await world.play()
        assert images(world) == ["one", "one", "broken"], "forced rollback is the user's word"
        await world.delete(kinds.POD, "web-2")
        await world.play()
        assert images(world) == ["one", "one", "one"]


async def test_a_parallel_set_recovers_from_a_broken_update_by_itself() -> None:
    async with running() as world:
        world.broken_images.add("broken")
        spec = stateful(image="broken", podManagementPolicy="Parallel")
        await world.create(kinds.STATEFUL_SET, spec)
        await world.play()
        await world.patch(kinds.STATEFUL_SET, "web", new_image("one"))
        await world.play()
        assert images(world) == ["one", "one", "one"]
        assert world.get(kinds.STATEFUL_SET, "web")["status"]["readyReplicas"] == 3


async def test_scaling_down_waits_for_a_sick_pod_below() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful())
        await world.play()
        await hurt(world, "web-0")
        await world.patch(kinds.STATEFUL_SET, "web", {"spec": {"replicas": 1}})
        await world.quiet()
        assert names(world) == ["web-0", "web-1", "web-2"]
        await world.play()
        assert names(world) == ["web-0"]


async def test_ordinals_may_begin_elsewhere() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful(replicas=2, ordinals={"start": 5}))
        await world.play()
        assert names(world) == ["web-5", "web-6"]
        moved = {"spec": {"ordinals": {"start": 6}}}
        await world.patch(kinds.STATEFUL_SET, "web", moved)
        await world.play()
        assert names(world) == ["web-6", "web-7"]


async def test_a_pod_counts_as_available_when_it_was_ready_for_long_enough() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful(replicas=2, minReadySeconds=30))
        await world.play()
        assert names(world) == ["web-0"]
        status = world.get(kinds.STATEFUL_SET, "web")["status"]
        assert (status["readyReplicas"], status["availableReplicas"]) == (1, 0)
        await world.clock.advance(31)
        await world.play()
        assert names(world) == ["web-0", "web-1"]


async def test_what_has_ended_is_replaced_under_its_name() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful())
        await world.play()
        before = world.get(kinds.POD, "web-1")["metadata"]["uid"]
        await world.patch(kinds.POD, "web-1", {"status": {"phase": "Failed"}}, "status")
        await world.play()
        assert world.get(kinds.POD, "web-1")["metadata"]["uid"] != before
        assert world.get(kinds.STATEFUL_SET, "web")["status"]["readyReplicas"] == 3


async def test_claims_are_made_first_and_stay() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, claimed())
        await world.quiet()
        claim = world.get(kinds.PVC, "data-web-1")
        assert claim["metadata"]["labels"] == {"app": "web"}
        assert not claim["metadata"].get("ownerReferences")
        (volume, *_) = world.get(kinds.POD, "web-1")["spec"]["volumes"]
        assert volume == {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-1"}}
        assert "create Claim data-web-0 Pod web-0 in StatefulSet web success" in world.events(
            "SuccessfulCreate"
        )
        await world.patch(kinds.STATEFUL_SET, "web", {"spec": {"replicas": 1}})
        await ended(world, "web-1")
        await world.quiet()
        assert claim == world.get(kinds.PVC, "data-web-1")


async def test_claims_go_with_what_is_scaled_away_or_deleted() -> None:
    async with running() as world:
        policy = {"whenScaled": "Delete", "whenDeleted": "Delete"}
        await world.create(kinds.STATEFUL_SET, claimed(persistentVolumeClaimRetentionPolicy=policy))
        await world.quiet()
        (owner,) = world.get(kinds.PVC, "data-web-0")["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("StatefulSet", "web")
        await world.patch(kinds.STATEFUL_SET, "web", {"spec": {"replicas": 1}})
        await ended(world, "web-1")
        await world.quiet()
        assert world.missing(kinds.PVC, "data-web-1")
        await world.delete(kinds.STATEFUL_SET, "web")
        await ended(world, "web-0")
        await world.quiet()
        assert world.missing(kinds.PVC, "data-web-0")


async def test_a_pod_waits_for_the_end_of_the_last_ones_claim() -> None:
    async with running() as world:
        held = {"metadata": {"finalizers": ["example.com/held"]}}
        await world.create(kinds.STATEFUL_SET, claimed())
        await world.quiet()
        await world.patch(kinds.PVC, "data-web-1", held)
        await world.delete(kinds.PVC, "data-web-1")
        await world.delete(kinds.POD, "web-1")
        await ended(world, "web-1")
        await world.quiet()
        assert names(world) == ["web-0"]
        await world.patch(kinds.PVC, "data-web-1", {"metadata": {"finalizers": None}})
        await world.quiet()
        assert names(world) == ["web-0", "web-1"]
        assert "deletionTimestamp" not in world.get(kinds.PVC, "data-web-1")["metadata"]


async def test_orphans_are_taken_up_by_name() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful())
        await world.play()
        uids = {pod["metadata"]["uid"] for pod in world.pods()}
        await world.delete(kinds.STATEFUL_SET, "web", propagation="Orphan")
        await world.play()
        stranger: Doc = {"metadata": {"name": "other-7", "labels": {"app": "web"}}}
        stranger["spec"] = {"containers": [{"name": "c", "image": "one"}]}
        await world.create(kinds.POD, stranger)
        await world.create(kinds.STATEFUL_SET, stateful())
        await world.play()
        mine = [p for p in world.pods() if p["metadata"].get("ownerReferences")]
        assert {pod["metadata"]["uid"] for pod in mine} == uids
        assert not world.get(kinds.POD, "other-7")["metadata"].get("ownerReferences")


async def test_a_lost_mark_is_put_back() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful(replicas=1))
        await world.play()
        gone = {"metadata": {"labels": {"statefulset.kubernetes.io/pod-name": None}}}
        await world.patch(kinds.POD, "web-0", gone)
        await world.play()
        labels = world.get(kinds.POD, "web-0")["metadata"]["labels"]
        assert labels["statefulset.kubernetes.io/pod-name"] == "web-0"
        assert world.events("SuccessfulUpdate") == [
            "update Pod web-0 in StatefulSet web successful"
        ]


async def test_old_revisions_beyond_the_limit_are_forgotten() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful(replicas=1, revisionHistoryLimit=1))
        await world.play()
        for image in ("two", "three", "four"):
            await world.patch(kinds.STATEFUL_SET, "web", new_image(image))
            await world.play()
        found = world.cache.all(kinds.CONTROLLER_REVISION, "default")
        assert sorted(one["revision"] for one in found) == [3, 4]


async def test_a_revisions_name_that_is_taken_counts_as_a_collision() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful(replicas=1))
        await world.play()
        (revision,) = world.cache.all(kinds.CONTROLLER_REVISION, "default")
        await world.delete(kinds.STATEFUL_SET, "web")
        await world.play()
        name = revision["metadata"]["name"]
        await world.create(
            kinds.CONTROLLER_REVISION, {"metadata": {"name": name}, "data": {}, "revision": 1}
        )
        await world.create(kinds.STATEFUL_SET, stateful(replicas=1))
        await world.play()
        status = world.get(kinds.STATEFUL_SET, "web")["status"]
        assert status["collisionCount"] == 1
        assert status["currentRevision"] != name


async def test_what_a_quota_refuses_comes_when_there_is_room() -> None:
    async with running() as world:
        quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
        await world.create(kinds.RESOURCE_QUOTA, quota)
        await world.quiet()
        await world.create(kinds.STATEFUL_SET, stateful(podManagementPolicy="Parallel"))
        await world.play(5)
        assert names(world) == ["web-0"]
        (first, *_) = world.events("FailedCreate")
        assert first.startswith('create Pod web-1 in StatefulSet web failed error: pods "web-1"')
        await world.delete(kinds.RESOURCE_QUOTA, "few")
        await world.clock.advance(60)
        await world.play()
        assert names(world) == ["web-0", "web-1", "web-2"]


async def test_a_deleted_set_makes_nothing_more() -> None:
    async with running() as world:
        await world.create(kinds.STATEFUL_SET, stateful())
        await world.quiet()
        await world.delete(kinds.STATEFUL_SET, "web", propagation="Foreground")
        await world.play()
        assert world.pods() == []
        assert world.missing(kinds.STATEFUL_SET, "web")
        assert world.cache.all(kinds.CONTROLLER_REVISION, "default") == []
