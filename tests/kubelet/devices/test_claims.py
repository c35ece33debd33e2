"""Claims of devices on their node: what drivers are asked, and when (KEP-4381, pkg/kubelet/cm/dra)."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Patch
from longshore.machinery.kubelet.devices.claims.drivers import PATIENCE_S

from ..docs import container, pod
from ..world import NODE
from .conftest import DeviceWorld, until
from .fakes import DRIVER, FakeDriver

pytestmark = pytest.mark.slow
CLAIMED = {"claims": [{"name": "gpu"}]}


def claiming(name: str = "web", claim: str = "gpu-claim", **more: Any) -> Doc:
    return pod(
        container(resources=CLAIMED),
        name=name,
        resourceClaims=[{"name": "gpu", "resourceClaimName": claim}],
        **more,
    )


async def given(w: DeviceWorld, doc: Doc, driver: str = DRIVER, claim: str = "gpu-claim") -> Doc:
    """A pod on the node, its claim allocated to it as the scheduler does."""
    if w.registry.cache.get(kinds.RESOURCE_CLAIM, "shop", claim) is None:
        request = {"name": "gpu", "exactly": {"deviceClassName": "gpu"}}
        spec = {"devices": {"requests": [request]}}
        await w.create(
            kinds.RESOURCE_CLAIM, {"metadata": {"name": claim, "namespace": "shop"}, "spec": spec}
        )
    made = await w.place(doc)
    known = await w.client.get(kinds.RESOURCE_CLAIM, "shop", claim)
    users = (known.get("status") or {}).get("reservedFor") or []
    uid, name = made["metadata"]["uid"], made["metadata"]["name"]
    result = {"request": "gpu", "driver": driver, "pool": "pool", "device": "gpu-0"}
    status = {
        "allocation": {"devices": {"results": [result]}},
        "reservedFor": [*users, {"resource": "pods", "name": name, "uid": uid}],
    }
    await w.client.write(Patch(kinds.RESOURCE_CLAIM, "shop", claim, {"status": status}, "status"))
    return made


async def patiently(w: DeviceWorld, doc: Doc, **more: Any) -> Doc:
    """The claim is the pod's only after the pod came to the node, so it takes a second try."""
    made = await given(w, doc, **more)
    await w.clock.advance(11)
    return made


async def gone(w: DeviceWorld, name: str = "web") -> None:
    await w.delete(name, grace_s=1)
    await until(lambda: w.gone(name))


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_claim_is_prepared_and_given_back(w: DeviceWorld, version: str) -> None:
    async with FakeDriver(w.root, version=version) as driver:
        await until(lambda: driver.told == ["registered"])
        await patiently(w, claiming())
        await until(lambda: w.phase() == "Running")
        assert w.env("web") == {"CLAIM": "gpu-claim"}
        assert driver.asked == ["prepare gpu-claim"]
        await gone(w)
        assert driver.asked == ["prepare gpu-claim", "unprepare gpu-claim"]
        told = await w.kubelet.statistics.metrics("")
        for operation in ("PrepareResources", "UnprepareResources"):
            labels = f'{{operation_name="{operation}",is_error="false"}}'
            assert f"kubelet_dra_operations_duration_seconds_count{labels} 1\n" in told


async def test_a_claim_of_two_pods_is_prepared_once(w: DeviceWorld) -> None:
    async with FakeDriver(w.root) as driver:
        await until(lambda: driver.told)
        for name in ("one", "two"):
            await patiently(w, claiming(name))
        await until(lambda: w.phase("one") == w.phase("two") == "Running")
        await gone(w, "one")
        assert driver.asked == ["prepare gpu-claim"]
        await gone(w, "two")
        assert driver.asked == ["prepare gpu-claim", "unprepare gpu-claim"]


async def test_a_pod_waits_for_its_driver(w: DeviceWorld) -> None:
    await patiently(w, claiming())
    told = "Failed to prepare dynamic resources: DRA driver gpu.example.com is not registered"
    await until(lambda: told in w.status().get("message", ""))
    assert f"FailedPrepareDynamicResources: {told}" in await w.events()
    async with FakeDriver(w.root) as driver:
        await until(lambda: driver.told)
        driver.failing = "no such device"
        await w.clock.advance(11)
        why = "NodePrepareResources failed for ResourceClaim gpu-claim: no such device"
        await until(lambda: why in w.status().get("message", ""))
        driver.failing = ""
        await w.clock.advance(11)
        await until(lambda: w.phase() == "Running")
        await gone(w)


async def test_a_driver_that_goes_while_it_is_asked(w: DeviceWorld) -> None:
    driver = FakeDriver(w.root)
    await driver.start()
    await until(lambda: driver.told)
    driver.free.clear()
    await patiently(w, claiming())
    await until(lambda: driver.asked)
    driver.hide()
    await until(lambda: "rpc error: code = Canceled" in w.status().get("message", ""))
    driver.free.set()
    await driver.stop()
    async with driver:
        await until(lambda: len(driver.told) == 2)
        await w.clock.advance(11)
        await until(lambda: w.phase() == "Running")
        await gone(w)


async def test_whose_claim_it_is_not(w: DeviceWorld) -> None:
    async with FakeDriver(w.root) as driver:
        await until(lambda: driver.told)
        await patiently(w, claiming())
        await until(lambda: w.phase() == "Running")
        await w.place(claiming("thief"))
        why = "is not allowed to use resource claim gpu-claim("
        await until(lambda: why in w.status("thief").get("message", ""))
        assert driver.asked == ["prepare gpu-claim"]


async def test_an_agent_that_starts_again_gives_back_what_is_left(w: DeviceWorld) -> None:
    async with FakeDriver(w.root) as driver:
        await until(lambda: driver.told)
        await patiently(w, claiming())
        await until(lambda: w.phase() == "Running")
        await w.stop_agent()
        await w.delete(grace_s=0)
        driver.asked.clear()
        w.start_agent()
        await until(lambda: driver.told == ["registered", "registered"])
        await w.clock.advance(11)
        await until(lambda: driver.asked == ["unprepare gpu-claim"])


async def test_a_pod_does_not_go_before_its_claim_is_given_back(w: DeviceWorld) -> None:
    async with FakeDriver(w.root) as driver:
        await until(lambda: driver.told)
        await patiently(w, claiming())
        await until(lambda: w.phase() == "Running")
        driver.failing = "still busy"
        await w.delete(grace_s=1)
        await until(lambda: "unprepare gpu-claim" in driver.asked)
        assert not w.gone()
        driver.failing = ""
        await w.clock.advance(11)
        await until(lambda: w.gone())


async def test_slices_of_a_driver_that_is_gone_go_too(w: DeviceWorld) -> None:
    def slice_of(name: str, node: str) -> Doc:
        pool = {"name": name, "generation": 1, "resourceSliceCount": 1}
        spec = {"driver": DRIVER, "pool": pool, "nodeName": node, "devices": [{"name": "gpu-0"}]}
        return {"metadata": {"name": name}, "spec": spec}

    def left() -> set[str]:
        return {doc["metadata"]["name"] for doc in w.registry.cache.all(kinds.RESOURCE_SLICE)}

    async with FakeDriver(w.root) as driver:
        await until(lambda: driver.told)
        await w.create(kinds.RESOURCE_SLICE, slice_of("mine", NODE))
        await w.create(kinds.RESOURCE_SLICE, slice_of("others", "node-2"))
        await w.clock.advance(PATIENCE_S + 1)
        assert left() == {"mine", "others"}
        sleeping = w.clock.sleeping
    await until(lambda: w.clock.sleeping > sleeping)
    await w.clock.advance(PATIENCE_S + 1)
    await until(lambda: left() == {"others"})


async def test_slices_of_drivers_that_do_not_come_back_go(w: DeviceWorld) -> None:
    """After a start of the agent; those of drivers that do come back stay."""
    async with FakeDriver(w.root) as driver:
        await until(lambda: driver.told)
        for name in (DRIVER, "absent.example.com"):
            pool = {"name": name, "generation": 1, "resourceSliceCount": 1}
            spec = {"driver": name, "pool": pool, "nodeName": NODE, "devices": [{"name": "gpu-0"}]}
            await w.create(kinds.RESOURCE_SLICE, {"metadata": {"name": name}, "spec": spec})
        await w.stop_agent()
        w.start_agent()
        await until(lambda: len(driver.told) == 2)
        await w.clock.advance(PATIENCE_S + 1)
        await until(lambda: len(w.registry.cache.all(kinds.RESOURCE_SLICE)) == 1)
        [left] = w.registry.cache.all(kinds.RESOURCE_SLICE)
        assert left["spec"]["driver"] == DRIVER


async def test_who_is_not_served_is_told_so(w: DeviceWorld) -> None:
    async with FakeDriver(w.root, version="v1alpha3") as driver:
        await until(lambda: driver.told)
        assert driver.told[0] == (
            "none of the DRA gRPC interfaces v1alpha3.DRAPlugin are supported: "
            "want v1.DRAPlugin or v1beta1.DRAPlugin"
        )
