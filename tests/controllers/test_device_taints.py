"""Pods leave devices that are tainted NoExecute: at once, later, or never, as their claims tolerate."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from tests.scheduler.claiming import DRIVER, claim, want

from .test_resource_claims import pod, put, with_gpus
from .world import World

TAINT = {"key": "broken", "effect": "NoExecute"}
SHARED = [{"name": "gpu", "resourceClaimName": "one"}]


async def using(world: World, **more: Any) -> str:
    """A pod that uses a device; the name of its node."""
    await put(world, claim("one", want(**more)))
    await world.create(kinds.POD, pod(claims=SHARED))
    await world.play()
    return str(world.get(kinds.POD, "p")["spec"]["nodeName"])


async def taint(world: World, node: str, **more: Any) -> None:
    """The driver taints the node's device."""
    found = world.get(kinds.RESOURCE_SLICE, f"slice-{node}")
    (device,) = found["spec"]["devices"]
    devices = [{**device, "taints": [{**TAINT, **more}]}]
    await world.update(
        kinds.RESOURCE_SLICE, {**found, "spec": {**found["spec"], "devices": devices}}
    )


def rule(**selector: str) -> Doc:
    return {"metadata": {"name": "r"}, "spec": {"deviceSelector": selector, "taint": TAINT}}


async def test_a_tainted_device_is_left_at_once() -> None:
    async with with_gpus() as world:
        node = await using(world)
        await taint(world, node)
        await world.quiet()
        found = world.get(kinds.POD, "p")
        assert "deletionTimestamp" in found["metadata"]
        conditions = {one["type"]: one for one in found["status"]["conditions"]}
        told = conditions["DisruptionTarget"]
        assert (told["reason"], told["message"]) == (
            "DeletionByDeviceTaintManager", "Device Taint manager: deleting due to NoExecute taint",
        )  # fmt: skip
        assert world.events("DeviceTaintManagerEviction") == ["Marking for deletion"]


async def test_a_taint_is_dated() -> None:
    async with with_gpus() as world:
        await taint(world, "n0")
        (device,) = world.get(kinds.RESOURCE_SLICE, "slice-n0")["spec"]["devices"]
        assert device["taints"] == [{**TAINT, "timeAdded": rfc3339(world.clock.now())}]


@pytest.mark.parametrize(
    ("tolerations", "stays"),
    [
        ([{"operator": "Exists", "effect": "NoExecute"}], True),
        ([{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}], False),
        ([{"operator": "Exists", "effect": "NoSchedule"}], False),
    ],
)
async def test_who_tolerates_it_stays(tolerations: list[Doc], stays: bool) -> None:
    async with with_gpus() as world:
        node = await using(world, tolerations=tolerations)
        await taint(world, node)
        await world.quiet()
        waits = any("tolerationSeconds" in one for one in tolerations)
        here = "deletionTimestamp" not in world.get(kinds.POD, "p")["metadata"]
        assert here == (stays or waits)
        await world.clock.advance(61)
        await world.play()
        assert world.missing(kinds.POD, "p") != stays


async def test_a_rule_taints_whatever_it_selects() -> None:
    async with with_gpus() as world:
        await using(world)
        await world.create(kinds.DEVICE_TAINT_RULE, rule(driver="other.example.com"))
        await world.play()
        assert not world.missing(kinds.POD, "p")
        await world.delete(kinds.DEVICE_TAINT_RULE, "r")
        await world.create(kinds.DEVICE_TAINT_RULE, rule(driver=DRIVER))
        await world.play()
        assert world.missing(kinds.POD, "p")


async def test_a_taint_for_new_pods_alone_lets_others_be() -> None:
    async with with_gpus() as world:
        node = await using(world)
        await taint(world, node, effect="NoSchedule")
        await world.play()
        assert not world.missing(kinds.POD, "p")
