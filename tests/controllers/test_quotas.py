"""What is used of a quota stands in its status."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from .world import World, deployment, running


def used(world: World) -> Doc:
    quota = world.cache.get(kinds.RESOURCE_QUOTA, "default", "q")
    assert quota is not None and quota["status"]["hard"].keys() == quota["status"]["used"].keys()
    found: Doc = quota["status"]["used"]
    return found


async def test_the_status_follows_what_comes_and_goes() -> None:
    async with running() as world:
        hard = {
            "pods": "5",
            "requests.memory": "1Gi",
            "count/replicasets.apps": "3",
            "secrets": "1",
        }
        await world.create(
            kinds.RESOURCE_QUOTA, {"metadata": {"name": "q"}, "spec": {"hard": hard}}
        )
        await world.quiet()
        nothing = {
            "pods": "0",
            "requests.memory": "0",
            "count/replicasets.apps": "0",
            "secrets": "0",
        }
        assert used(world) == nothing
        doc = deployment(replicas=3)
        container = doc["spec"]["template"]["spec"]["containers"][0]
        container["resources"] = {"requests": {"memory": "128Mi"}}
        await world.create(kinds.DEPLOYMENT, doc)
        await world.play()
        expected = {"pods": "3", "requests.memory": "384Mi", "count/replicasets.apps": "1"}
        assert used(world) == {**nothing, **expected}
        await world.delete(kinds.DEPLOYMENT, "web")
        await world.play()
        assert used(world) == nothing


async def test_a_changed_quota_is_counted_anew() -> None:
    async with running() as world:
        await world.create(kinds.CONFIG_MAP, {"metadata": {"name": "m"}})
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"secrets": "1"}}}
        await world.create(kinds.RESOURCE_QUOTA, quota)
        await world.quiet()
        assert used(world) == {"secrets": "0"}
        await world.patch(kinds.RESOURCE_QUOTA, "q", {"spec": {"hard": {"configmaps": "9"}}})
        await world.quiet()
        assert used(world)["configmaps"] == "2"  # one is the cluster's certificate


async def test_deployments_stop_at_the_quota_and_go_on_when_it_grows() -> None:
    async with running() as world:
        await world.create(
            kinds.RESOURCE_QUOTA, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}}
        )
        await world.create(kinds.DEPLOYMENT, deployment(replicas=4))
        await world.play()
        assert len(world.pods()) == 2
        assert any("exceeded quota: q" in told for told in world.events("FailedCreate"))
        await world.patch(kinds.RESOURCE_QUOTA, "q", {"spec": {"hard": {"pods": "4"}}})
        await world.clock.advance(600)
        await world.play()
        assert len(world.pods()) == 4


async def test_a_status_that_somebody_else_wrote_is_repaired() -> None:
    async with running() as world:
        await world.create(
            kinds.RESOURCE_QUOTA, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "5"}}}
        )
        await world.quiet()
        wrong = {"hard": {"pods": "9", "secrets": "1"}, "used": {"pods": "7"}}
        await world.patch(kinds.RESOURCE_QUOTA, "q", {"status": wrong}, "status")
        await world.quiet()
        quota = world.cache.get(kinds.RESOURCE_QUOTA, "default", "q")
        assert quota is not None
        assert quota["status"] == {"hard": {"pods": "5"}, "used": {"pods": "0"}}


async def test_all_that_a_pod_uses_is_added_up() -> None:
    async with running(nodes=0) as world:
        hard = {
            "pods": "5", "cpu": "1", "memory": "500Mi", "ephemeral-storage": "50Gi",
            "requests.example.com/dongle": "3", "limits.cpu": "2", "count/pods": "5",
        }  # fmt: skip
        await world.create(
            kinds.RESOURCE_QUOTA, {"metadata": {"name": "q"}, "spec": {"hard": hard}}
        )
        amounts = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi",
                   "example.com/dongle": "2"}  # fmt: skip
        limits = {"example.com/dongle": "2", "cpu": "1"}
        container = {
            "name": "c",
            "image": "i",
            "resources": {"requests": amounts, "limits": limits},
        }
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [container]}}
        await world.create(kinds.POD, pod)
        await world.quiet()
        assert used(world) == {
            "pods": "1", "cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi",
            "requests.example.com/dongle": "2", "limits.cpu": "1", "count/pods": "1",
        }  # fmt: skip
        await world.delete(kinds.POD, "p")
        await world.quiet()
        assert set(used(world).values()) == {"0"}
