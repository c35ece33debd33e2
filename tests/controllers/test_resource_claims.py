"""Claims of devices are made from templates, serve their pods, and are given back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects import device_claims, kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.resourceclaims import plan
from longshore.testing.clock import settle
from tests.scheduler.claiming import claim, device, device_class, slice_on, want

from .interrupted import replayed
from .world import World, running


@asynccontextmanager
async def with_gpus(per_node: int = 1, **more: Any) -> AsyncIterator[World]:
    async with running(**more) as world:
        for node in world.cache.all(kinds.NODE):
            name = node["metadata"]["name"]
            devices = [device(f"gpu-{number}") for number in range(per_node)]
            await put(world, *(slice_on(name, *devices), device_class(f"only-{name}")))
        await put(world, device_class())
        yield world


async def put(world: World, *objects: tuple[kinds.Kind, Doc]) -> None:
    for kind, doc in objects:
        await world.create(
            kind, {"metadata": {"name": doc["metadata"]["name"]}, "spec": doc["spec"]}
        )


async def template(world: World, name: str = "gpus", **metadata: Any) -> None:
    spec = {"metadata": metadata, "spec": {"devices": {"requests": [want()]}}}
    await world.create(kinds.RESOURCE_CLAIM_TEMPLATE, {"metadata": {"name": name}, "spec": spec})


def pod(name: str = "p", **more: Any) -> Doc:
    claims = more.pop("claims", [{"name": "gpu", "resourceClaimTemplateName": "gpus"}])
    body = {"containers": [{"name": "c", "image": "i"}], "resourceClaims": claims, **more}
    return {"metadata": {"name": name}, "spec": body}


def claims(world: World) -> list[Doc]:
    return world.cache.all(kinds.RESOURCE_CLAIM, "default")


async def test_a_claim_is_made_and_its_pod_told() -> None:
    async with with_gpus() as world:
        await template(world, labels={"a": "b"}, annotations={"c": "d"})
        await world.create(kinds.POD, pod())
        await world.play()
        (made,) = claims(world)
        found = world.get(kinds.POD, "p")
        metadata = made["metadata"]
        assert metadata["name"].startswith("p-gpu-") and len(metadata["name"]) == 11
        assert metadata["annotations"] == {"c": "d", device_claims.POD_CLAIM: "gpu"}
        assert metadata["labels"] == {"a": "b"}
        (owner,) = metadata["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (found["metadata"]["uid"], True)
        assert found["status"]["resourceClaimStatuses"] == [
            {"name": "gpu", "resourceClaimName": metadata["name"]}
        ]
        assert found["spec"]["nodeName"] and found["status"]["phase"] == "Running"
        assert made["status"]["reservedFor"][0]["name"] == "p"


async def test_a_missing_template_is_told_of_and_waited_for() -> None:
    async with with_gpus() as world:
        await world.create(kinds.POD, pod())
        await world.play()
        assert world.events("FailedResourceClaimCreation") == [
            'PodResourceClaim gpu: resource claim template "gpus": '
            'resourceclaimtemplates.resource.k8s.io "gpus" not found'
        ]
        assert not world.events("FailedScheduling")
        await template(world)
        await world.play()
        assert world.get(kinds.POD, "p")["spec"]["nodeName"]


async def test_devices_of_pods_that_are_done_go_to_others() -> None:
    async with with_gpus(nodes=1) as world:
        await template(world)
        for name in ("first", "second"):
            await world.create(kinds.POD, pod(name))
            await world.play()
        assert "nodeName" not in world.get(kinds.POD, "second")["spec"]
        status = {"status": {"phase": "Succeeded"}}
        await world.patch(kinds.POD, "first", status, "status")
        await world.play()
        assert world.get(kinds.POD, "second")["spec"]["nodeName"]
        assert [one["metadata"]["name"][:11] for one in claims(world)] == ["second-gpu-"]


async def test_a_generated_claim_goes_with_its_pod() -> None:
    async with with_gpus() as world:
        await template(world)
        await world.create(kinds.POD, pod())
        await world.play()
        await world.delete(kinds.POD, "p")
        await world.play()
        assert not claims(world)


async def test_a_claim_in_use_stays_until_its_last_user_is_gone() -> None:
    async with with_gpus() as world:
        await put(world, claim())
        for name in ("p", "q"):
            shared = [{"name": "gpu", "resourceClaimName": "one"}]
            await world.create(kinds.POD, pod(name, claims=shared))
        await world.play()
        await world.delete(kinds.RESOURCE_CLAIM, "one")
        await world.delete(kinds.POD, "p")
        await world.play()
        (left,) = claims(world)
        assert [one["name"] for one in left["status"]["reservedFor"]] == ["q"]
        await world.delete(kinds.POD, "q")
        await world.play()
        assert not claims(world)


async def test_a_claim_without_users_is_deallocated_and_used_again() -> None:
    async with with_gpus(nodes=1) as world:
        await put(world, claim(), claim("two"))
        await world.create(kinds.POD, pod(claims=[{"name": "gpu", "resourceClaimName": "one"}]))
        await world.play()
        await world.delete(kinds.POD, "p")
        await world.play()
        found = world.get(kinds.RESOURCE_CLAIM, "one")
        assert "finalizers" not in found["metadata"]
        assert not found.get("status")
        await world.create(
            kinds.POD, pod("q", claims=[{"name": "gpu", "resourceClaimName": "two"}])
        )
        await world.play()
        assert world.get(kinds.POD, "q")["spec"]["nodeName"]


async def test_a_deleted_claim_of_a_waiting_pod_is_made_anew() -> None:
    async with with_gpus(nodes=0) as world:
        await template(world)
        await world.create(kinds.POD, pod())
        await world.play()
        (made,) = claims(world)
        await world.delete(kinds.RESOURCE_CLAIM, made["metadata"]["name"])
        await world.play()
        (again,) = claims(world)
        assert again["metadata"]["name"] != made["metadata"]["name"]
        assert world.get(kinds.POD, "p")["status"]["resourceClaimStatuses"] == [
            {"name": "gpu", "resourceClaimName": again["metadata"]["name"]}
        ]


async def test_a_pod_with_a_node_of_its_own_choice_joins_an_allocated_claim() -> None:
    async with with_gpus() as world:
        await put(world, claim())
        shared = [{"name": "gpu", "resourceClaimName": "one"}]
        await world.create(kinds.POD, pod("p", claims=shared))
        await world.play()
        node = world.get(kinds.POD, "p")["spec"]["nodeName"]
        await world.create(kinds.POD, pod("q", claims=shared, nodeName=node))
        await world.play()
        users = world.get(kinds.RESOURCE_CLAIM, "one")["status"]["reservedFor"]
        assert [one["name"] for one in users] == ["p", "q"]


@given(
    deeds=st.lists(
        st.tuples(st.sampled_from(["make", "delete", "end", "share"]), st.integers(0, 4)),
        max_size=12,
    )
)
@settings(max_examples=25)
async def test_whatever_is_done_no_two_claims_have_one_device(deeds: list[tuple[str, int]]) -> None:
    async with with_gpus(per_node=2) as world:
        await template(world)
        await put(world, claim())
        for deed, number in deeds:
            await _do(world, deed, f"p{number}")
            await settle(number)
            _check_devices(world)
        await world.play()
        _check_devices(world)
        alive = {pod["metadata"]["uid"] for pod in world.pods() if not device_claims.is_done(pod)}
        for one in claims(world):
            users = device_claims.status_of(one).get("reservedFor") or ()
            assert {user["uid"] for user in users} <= alive
        waiting = [one for one in world.pods() if not one["spec"].get("nodeName")]
        assert not waiting or len(_given(world)) == 4, (
            "who waits does so since all devices are taken"
        )


async def _do(world: World, deed: str, name: str) -> None:
    here = not world.missing(kinds.POD, name)
    if deed == "delete" and here:
        await world.delete(kinds.POD, name)
    elif deed == "end" and here:
        await world.patch(kinds.POD, name, {"status": {"phase": "Succeeded"}}, "status")
    elif deed == "make" and not here:
        await world.create(kinds.POD, pod(name))
    elif deed == "share" and not here:
        shared = [{"name": "gpu", "resourceClaimName": "one"}]
        await world.create(kinds.POD, pod(name, claims=shared))


def _given(world: World) -> list[tuple[str, str]]:
    found = (device_claims.status_of(one).get("allocation") or {} for one in claims(world))
    return [
        (result["pool"], result["device"])
        for allocation in found
        for result in allocation.get("devices", {}).get("results", ())
    ]


def _check_devices(world: World) -> None:
    assert len(set(_given(world))) == len(_given(world))


async def devices(world: World) -> None:
    """Two pods have claims from a template, one after the other, and a third a claim of its own; their
    devices are given back."""
    await put(world, slice_on("n0", device("gpu-0")), device_class(), claim())
    await template(world)
    await world.create(kinds.POD, pod("p"))
    await world.play()
    await world.create(kinds.POD, pod("q"))
    await world.delete(kinds.POD, "p")
    await world.play()
    await world.patch(kinds.POD, "q", {"status": {"phase": "Succeeded"}}, "status")
    await world.create(kinds.POD, pod("r", claims=[{"name": "gpu", "resourceClaimName": "one"}]))
    await world.play()
    await world.delete(kinds.RESOURCE_CLAIM, "one")
    await world.delete(kinds.POD, "r")
    await world.play()


@pytest.mark.slow
async def test_an_interruption_changes_nothing() -> None:
    whole = await replayed(devices)
    assert whole.writes > 5
    assert whole.made["ResourceClaim"] == 3


def test_names_are_cut_in_proportion() -> None:
    doc = {"metadata": {"name": "x" * 200, "namespace": "d", "uid": "u"}}
    made = plan.claim_for(doc, "y" * 60, {"spec": {"spec": {}}})
    name = made["metadata"]["generateName"]
    assert name == f"{'x' * 43}-{'y' * 13}"
