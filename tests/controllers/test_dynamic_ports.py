"""Ports of the host that are chosen with the node, from the API to the binding: none twice."""

from __future__ import annotations

import orjson
import pytest

from longshore.core.objects import kinds
from longshore.core.objects.dynamic_ports import ASKED, FIRST, GIVEN, LAST
from longshore.core.objects.errors import ApiError, Conflict
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Bind

from .world import World, running


def asking(name: str, **spec: object) -> Doc:
    container = {"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 80}]}
    return {"metadata": {"name": name, "annotations": {ASKED: "http"}},
            "spec": {"containers": [container], **spec}}  # fmt: skip


def given(world: World, name: str) -> int:
    told = world.get(kinds.POD, name)["metadata"]["annotations"]
    return int(orjson.loads(told[GIVEN])["http"])


async def test_every_pod_of_a_node_gets_a_port_of_its_own() -> None:
    async with running(nodes=1) as world:
        for number in range(20):
            await world.create(kinds.POD, asking(f"p{number}"))
        await world.quiet()
        ports = [given(world, f"p{number}") for number in range(20)]
        assert len(set(ports)) == 20 and all(FIRST <= port <= LAST for port in ports)


async def test_two_who_bind_at_once_cannot_both_have_a_port() -> None:
    """Another scheduler may choose the same in the same moment: whoever is second is told."""
    async with running(nodes=2) as world:
        for name in ("a", "b", "c"):
            await world.create(kinds.POD, asking(name, schedulerName="another"))
        told = {GIVEN: '{"http": 20001}'}
        work = [Bind("default", name, node, annotations=told)
                for name, node in (("a", "n0"), ("b", "n0"), ("c", "n1"))]  # fmt: skip
        one, two, elsewhere = await world.client.submit(work)
        assert not isinstance(one, ApiError) and not isinstance(elsewhere, ApiError)
        assert isinstance(two, Conflict) and "ports/TCP/20001" in two.message
        await world.delete(kinds.POD, "a", grace_s=0)
        [again] = await world.client.submit(work[1:2])
        assert not isinstance(again, ApiError)


async def test_what_was_given_cannot_be_changed() -> None:
    async with running(nodes=1) as world:
        await world.create(kinds.POD, asking("p"))
        await world.quiet()
        for change in ({GIVEN: '{"http": 1}'}, {GIVEN: None}, {ASKED: None}):
            with pytest.raises(ApiError, match="field is immutable"):
                await world.patch(kinds.POD, "p", {"metadata": {"annotations": change}})
