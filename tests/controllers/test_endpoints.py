"""Who stands behind a Service."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Delete

from .world import World, deployment, running


def service(name: str = "web", **spec: object) -> Doc:
    port = {"name": "http", "port": 80, "targetPort": 8080}
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"app": "web"}, "ports": [port], **spec},
    }


def slices(world: World, name: str = "web") -> list[Doc]:
    found = world.cache.all(kinds.ENDPOINT_SLICE, "default")
    label = "kubernetes.io/service-name"
    return [one for one in found if one["metadata"]["labels"].get(label) == name]


def ready(world: World) -> int:
    return sum(e["conditions"]["ready"] for one in slices(world) for e in one["endpoints"] or ())


async def test_ready_pods_stand_behind_their_service() -> None:
    async with running() as world:
        await world.create(kinds.SERVICE, service())
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        (one,) = slices(world)
        assert one["addressType"] == "IPv4"
        assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        assert one["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == (
            "endpointslice-controller.k8s.io"
        )
        by_pod = {e["targetRef"]["name"]: e for e in one["endpoints"]}
        for pod in world.pods():
            endpoint = by_pod[pod["metadata"]["name"]]
            assert endpoint["addresses"] == [pod["status"]["podIP"]]
            assert endpoint["nodeName"] == pod["spec"]["nodeName"]
            assert endpoint["conditions"] == {"ready": True, "serving": True, "terminating": False}
        (subset,) = world.get(kinds.ENDPOINTS, "web")["subsets"]
        assert [a["ip"] for a in subset["addresses"]] == sorted(
            pod["status"]["podIP"] for pod in world.pods()
        )


async def test_pods_come_before_or_after_the_service_alike() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        await world.create(kinds.SERVICE, service())
        await world.quiet()
        assert ready(world) == 3
        await world.patch(kinds.SERVICE, "web", {"spec": {"selector": {"app": "other"}}})
        await world.quiet()
        assert ready(world) == 0
        assert len(slices(world)) == 1, "an empty slice says that nobody is there"


async def test_a_leaving_pod_is_no_longer_ready_but_still_listed() -> None:
    async with running() as world:
        await world.create(kinds.SERVICE, service())
        await world.create(kinds.DEPLOYMENT, deployment(replicas=1))
        await world.play()
        name = world.pods()[0]["metadata"]["name"]
        await world.delete(kinds.POD, name)
        await world.quiet()
        listed = {
            e["targetRef"]["name"]: e["conditions"]
            for one in slices(world)
            for e in one["endpoints"]
        }
        assert listed[name] == {"ready": False, "serving": True, "terminating": True}
        assert world.get(kinds.ENDPOINTS, "web").get("subsets") in ([], None)


async def test_a_pod_that_is_not_ready_is_not_listed_as_such() -> None:
    async with running() as world:
        await world.create(kinds.SERVICE, service())
        await world.create(kinds.SERVICE, service("eager", publishNotReadyAddresses=True))
        await world.create(kinds.DEPLOYMENT, deployment(replicas=1))
        await world.play()
        pod = world.pods()[0]
        conditions = [{**c, "status": "False"} for c in pod["status"]["conditions"]]
        await world.patch(
            kinds.POD, pod["metadata"]["name"], {"status": {"conditions": conditions}}, "status"
        )
        await world.quiet()
        assert ready(world) == 0
        assert "addresses" not in world.get(kinds.ENDPOINTS, "web")["subsets"][0]
        (eager,) = slices(world, "eager")
        assert eager["endpoints"][0]["conditions"]["ready"]
        assert "addresses" in world.get(kinds.ENDPOINTS, "eager")["subsets"][0]


async def test_a_hundred_fit_in_a_slice_and_slices_are_kept() -> None:
    async with running(nodes=4) as world:
        await world.create(kinds.SERVICE, service())
        await world.create(kinds.DEPLOYMENT, deployment(replicas=120))
        await world.play()
        before = {one["metadata"]["name"]: len(one["endpoints"]) for one in slices(world)}
        assert sum(before.values()) == 120
        assert max(before.values()) <= 100
        await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"replicas": 110}})
        await world.play()
        after = {one["metadata"]["name"]: len(one["endpoints"]) for one in slices(world)}
        assert sum(after.values()) == 110
        assert after.keys() <= before.keys()


async def test_nothing_is_left_of_a_deleted_service() -> None:
    async with running() as world:
        await world.create(kinds.SERVICE, service())
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        await world.client.write(Delete(kinds.SERVICE, "default", "web"))
        await world.quiet()
        assert slices(world) == []
        assert world.missing(kinds.ENDPOINTS, "web")


async def test_a_service_without_a_selector_is_left_to_its_owner() -> None:
    async with running() as world:
        await world.create(
            kinds.SERVICE, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 1}]}}
        )
        await world.create(kinds.ENDPOINTS, {"metadata": {"name": "web"}})
        await world.quiet()
        assert slices(world) == []
        assert not world.missing(kinds.ENDPOINTS, "web")
