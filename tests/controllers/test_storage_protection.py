"""What is in use does not go before its users."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind

from .world import World, running

CLAIM: Doc = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def pod_with(claim: str, **spec: Any) -> Doc:
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": claim}}
    body = {"containers": [{"name": "c", "image": "i"}], "volumes": [volume], **spec}
    return {"metadata": {"name": "user"}, "spec": body}


def finalizers(world: World, kind: Kind, name: str) -> list[str]:
    doc = world.cache.get(kind, "default" if kind.namespaced else "", name)
    assert doc is not None
    found: list[str] = doc["metadata"].get("finalizers", [])
    return found


async def claim(world: World, name: str = "data", **more: str) -> None:
    await world.create(kinds.PVC, {"metadata": {"name": name}, "spec": {**CLAIM, **more}})


async def test_an_unused_claim_goes_at_once() -> None:
    async with running() as world:
        await claim(world)
        assert finalizers(world, kinds.PVC, "data") == ["kubernetes.io/pvc-protection"]
        await world.delete(kinds.PVC, "data")
        await world.quiet()
        assert world.missing(kinds.PVC, "data")


async def test_a_claim_stays_while_a_pod_that_runs_somewhere_uses_it() -> None:
    async with running() as world:
        await claim(world)
        await world.create(kinds.POD, pod_with("data", nodeName="n0"))
        await world.delete(kinds.PVC, "data")
        await world.play()
        assert not world.missing(kinds.PVC, "data")
        await world.delete(kinds.POD, "user")
        await world.play()
        assert world.missing(kinds.PVC, "data")


async def test_a_pod_without_a_node_holds_no_claim() -> None:
    async with running(nodes=0) as world:
        await claim(world)
        await world.create(kinds.POD, pod_with("data"))
        await world.delete(kinds.PVC, "data")
        await world.quiet()
        assert world.missing(kinds.PVC, "data")


async def test_a_volume_stays_while_it_is_bound() -> None:
    async with running() as world:
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/x"}}  # fmt: skip
        await world.create(kinds.PV, {"metadata": {"name": "v"}, "spec": spec})
        await claim(world, storageClassName="")
        await world.quiet()
        await world.delete(kinds.PV, "v")
        await world.quiet()
        assert finalizers(world, kinds.PV, "v") == ["kubernetes.io/pv-protection"]
        await world.delete(kinds.PVC, "data")
        await world.quiet()
        assert world.missing(kinds.PV, "v")


async def test_a_class_of_attributes_stays_while_a_claim_names_it() -> None:
    async with running() as world:
        fast = {"metadata": {"name": "fast"}, "driverName": "d.example", "parameters": {"a": "b"}}
        await world.create(kinds.VOLUME_ATTRIBUTES_CLASS, fast)
        await claim(world, volumeAttributesClassName="fast")
        await world.delete(kinds.VOLUME_ATTRIBUTES_CLASS, "fast")
        await world.quiet()
        assert not world.missing(kinds.VOLUME_ATTRIBUTES_CLASS, "fast")
        await world.delete(kinds.PVC, "data")
        await world.quiet()
        assert world.missing(kinds.VOLUME_ATTRIBUTES_CLASS, "fast")
