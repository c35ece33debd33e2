"""Deployments in a running world: rollouts, rollbacks, scaling, and what they say meanwhile."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from .world import World, condition, counting, deployment, image_of, new_image, running


def sets_of(world: World) -> dict[int, Doc]:
    """Replica sets by revision."""
    found = world.cache.all(kinds.REPLICA_SET, "default")
    note = "deployment.kubernetes.io/revision"
    return {int(one["metadata"]["annotations"][note]): one for one in found}


async def test_a_deployment_becomes_pods() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=3))
        await world.play()
        pods = world.pods()
        assert len(pods) == 3
        assert counting(pods, lambda pod: pod["spec"]["nodeName"]).keys() == {"n0", "n1"}
        (replica_set,) = world.cache.all(kinds.REPLICA_SET, "default")
        mark = replica_set["metadata"]["labels"]["pod-template-hash"]
        assert all(pod["metadata"]["labels"]["pod-template-hash"] == mark for pod in pods)
        assert replica_set["metadata"]["name"] == f"web-{mark}"
        status = world.get(kinds.DEPLOYMENT, "web")["status"]
        counts = {k: v for k, v in status.items() if k != "conditions"}
        assert counts == {
            "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
            "observedGeneration": 1,
        }  # fmt: skip
        assert world.events("ScalingReplicaSet") == [
            f"Scaled up replica set web-{mark} from 0 to 3"
        ]


async def test_kubectl_reads_that_the_rollout_is_through() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        found = world.get(kinds.DEPLOYMENT, "web")
        (replica_set,) = world.cache.all(kinds.REPLICA_SET, "default")
        progressing, available = condition(found, "Progressing"), condition(found, "Available")
        assert (progressing["status"], progressing["reason"]) == ("True", "NewReplicaSetAvailable")
        name = replica_set["metadata"]["name"]
        assert progressing["message"] == f'ReplicaSet "{name}" has successfully progressed.'
        assert available["message"] == "Deployment has minimum availability."


async def test_a_rolling_update_never_has_too_few_or_too_many() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=8))
        await world.play()
        await world.patch(kinds.DEPLOYMENT, "web", new_image("two"))
        for _ in range(60):
            await world.quiet()
            pods = world.pods()
            ready = [p for p in pods if p["status"].get("phase") == "Running"]
            assert len(pods) <= 10, "maxSurge 25 % of 8 is 2"
            assert len(ready) >= 6, "maxUnavailable 25 % of 8 is 2"
            if not await world.agents_act():
                break
            await world.clock.advance(1.0)
        assert counting(world.pods(), image_of) == {"two": 8}
        assert {n: rs["spec"]["replicas"] for n, rs in sets_of(world).items()} == {1: 0, 2: 8}


async def test_a_broken_version_stops_halfway_and_is_called_late() -> None:
    async with running() as world:
        spec = deployment(replicas=4, progressDeadlineSeconds=60)
        await world.create(kinds.DEPLOYMENT, spec)
        await world.play()
        world.broken_images.add("broken")
        await world.patch(kinds.DEPLOYMENT, "web", new_image("broken"))
        await world.play()
        assert counting(world.pods(), image_of) == {"one": 3, "broken": 2}
        await world.clock.advance(70)
        progressing = condition(world.get(kinds.DEPLOYMENT, "web"), "Progressing")
        assert (progressing["status"], progressing["reason"]) == (
            "False", "ProgressDeadlineExceeded",
        )  # fmt: skip
        assert progressing["message"].endswith("has timed out progressing.")


async def test_a_rollback_takes_up_the_old_set_under_a_new_revision() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        first = sets_of(world)[1]["metadata"]["name"]
        await world.patch(kinds.DEPLOYMENT, "web", new_image("two"))
        await world.play()
        await world.patch(kinds.DEPLOYMENT, "web", new_image("one"))
        await world.play()
        sets = sets_of(world)
        assert sorted(sets) == [2, 3]
        assert sets[3]["metadata"]["name"] == first
        notes = sets[3]["metadata"]["annotations"]
        assert notes["deployment.kubernetes.io/revision-history"] == "1"
        own = world.get(kinds.DEPLOYMENT, "web")["metadata"]["annotations"]
        assert own["deployment.kubernetes.io/revision"] == "3"
        assert counting(world.pods(), image_of) == {"one": 3}


async def test_recreate_waits_until_the_last_old_pod_is_gone() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(strategy={"type": "Recreate"}))
        await world.play()
        await world.patch(kinds.DEPLOYMENT, "web", new_image("two"))
        await world.quiet()
        assert counting(world.cache.all(kinds.POD, "default"), image_of) == {"one": 3}
        assert world.pods() == []
        await world.play()
        assert counting(world.pods(), image_of) == {"two": 3}


async def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"paused": True}})
        await world.patch(kinds.DEPLOYMENT, "web", new_image("two"))
        await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"replicas": 5}})
        await world.play()
        assert counting(world.pods(), image_of) == {"one": 5}
        paused = condition(world.get(kinds.DEPLOYMENT, "web"), "Progressing")
        assert (paused["status"], paused["reason"]) == ("Unknown", "DeploymentPaused")
        await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"paused": False}})
        await world.play()
        assert counting(world.pods(), image_of) == {"two": 5}


async def test_scaling_during_a_stuck_rollout_is_shared_by_size() -> None:
    async with running() as world:
        strategy = {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
        await world.create(kinds.DEPLOYMENT, deployment(replicas=10, strategy=strategy))
        await world.play()
        world.broken_images.add("broken")
        await world.patch(kinds.DEPLOYMENT, "web", new_image("broken"))
        await world.play()
        assert counting(world.pods(), image_of) == {"one": 8, "broken": 5}
        await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"replicas": 15}})
        await world.play()
        # The example of kubernetes.io, Deployments, Proportional scaling.
        assert counting(world.pods(), image_of) == {"one": 11, "broken": 7}


async def test_old_sets_beyond_the_limit_are_forgotten() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=1, revisionHistoryLimit=1))
        await world.play()
        for image in ("two", "three", "four"):
            await world.patch(kinds.DEPLOYMENT, "web", new_image(image))
            await world.play()
        assert sorted(sets_of(world)) == [3, 4]


async def test_a_name_that_is_taken_counts_as_a_collision() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=1))
        await world.play()
        taken = world.cache.all(kinds.REPLICA_SET, "default")[0]
        await world.delete(kinds.DEPLOYMENT, "web")
        await world.play()
        assert world.cache.all(kinds.REPLICA_SET, "default") == []
        stranger = {
            "metadata": {"name": taken["metadata"]["name"]},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "other"}},
                "template": {
                    "metadata": {"labels": {"app": "other"}},
                    "spec": {"containers": [{"name": "c", "image": "other"}]},
                },
            },
        }
        await world.create(kinds.REPLICA_SET, stranger)
        await world.create(kinds.DEPLOYMENT, deployment(replicas=1))
        await world.play()
        assert world.get(kinds.DEPLOYMENT, "web")["status"]["collisionCount"] == 1
        assert counting(world.pods(), image_of) == {"one": 1}


async def test_an_orphaned_set_is_adopted() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        names = {pod["metadata"]["name"] for pod in world.pods()}
        await world.delete(kinds.DEPLOYMENT, "web", propagation="Orphan")
        await world.play()
        (orphan,) = world.cache.all(kinds.REPLICA_SET, "default")
        assert not orphan["metadata"].get("ownerReferences")
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        (adopted,) = world.cache.all(kinds.REPLICA_SET, "default")
        assert adopted["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
        assert {pod["metadata"]["name"] for pod in world.pods()} == names


async def test_the_revision_goes_with_the_first_status() -> None:
    """One write, as upstream's UpdateStatus: its entry owns the annotation too."""
    async with running() as world:
        feed = world.cache.subscribe(kinds.DEPLOYMENT)
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        first, *_ = (one.doc for one in feed.take() if one.type == "MODIFIED")
        feed.close()
    assert first["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert condition(first, "Progressing")["reason"] == "NewReplicaSetCreated"
    (entry,) = (one for one in first["metadata"]["managedFields"] if "subresource" in one)
    owned = entry["fieldsV1"]["f:metadata"]["f:annotations"]
    assert "f:deployment.kubernetes.io/revision" in owned
