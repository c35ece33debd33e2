"""Rule 30: who owns an object, and what becomes of it without its owners. More of it, with the
collector that sees to it: tests/controllers/test_garbage.py."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from tests.controllers.world import World, running

MAP = kinds.CONFIG_MAP


def owned(name: str, *owners: Doc, **more: Any) -> Doc:
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": one["metadata"]["name"],
         "uid": one["metadata"]["uid"], **more}
        for one in owners
    ]  # fmt: skip
    return {"metadata": {"name": name, "ownerReferences": references}}


async def owner(world: World, name: str = "owner") -> Doc:
    return await world.create(MAP, {"metadata": {"name": name}})


async def test_identity_is_the_uid() -> None:
    async with running(nodes=0) as world:
        first = await owner(world)
        await world.create(MAP, owned("kept", first))
        other = {**first, "metadata": {**first["metadata"], "uid": "another"}}
        await world.create(MAP, owned("garbage", other))
        await world.quiet()
        assert world.missing(MAP, "garbage") and not world.missing(MAP, "kept")


async def test_an_owner_of_the_same_name_that_came_later_is_another() -> None:
    async with running(nodes=0) as world:
        await world.create(MAP, owned("dependent", await owner(world)))
        await world.delete(MAP, "owner", propagation="Background")
        await owner(world)
        await world.quiet()
        assert world.missing(MAP, "dependent") and not world.missing(MAP, "owner")


@pytest.mark.parametrize("blocks", [True, False])
async def test_who_blocks_is_waited_for(blocks: bool) -> None:
    async with running(nodes=0) as world:
        held = owned("held", await owner(world), blockOwnerDeletion=blocks)
        held["metadata"]["finalizers"] = ["example.com/hold"]
        await world.create(MAP, held)
        await world.delete(MAP, "owner", propagation="Foreground")
        await world.quiet()
        assert world.missing(MAP, "owner") is not blocks
        if blocks:
            assert "deletionTimestamp" in world.get(MAP, "held")["metadata"]
            await world.patch(MAP, "held", {"metadata": {"finalizers": None}})
            await world.quiet()
            assert world.missing(MAP, "owner") and world.missing(MAP, "held")


async def test_orphans_forget_their_owner() -> None:
    async with running(nodes=0) as world:
        await world.create(MAP, owned("orphan", await owner(world)))
        await world.delete(MAP, "owner", propagation="Orphan")
        await world.quiet()
        assert world.missing(MAP, "owner")
        assert not world.get(MAP, "orphan")["metadata"].get("ownerReferences")
