"""Every node gets a range of pod addresses of its own, and one that is gone gives its back."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.testing.clock import settle

from .world import World, running


def ranges(world: World) -> dict[str, str]:
    nodes = world.cache.all(kinds.NODE)
    return {node["metadata"]["name"]: node["spec"].get("podCIDR", "") for node in nodes}


async def add(world: World, name: str, held: str = "") -> None:
    spec = {"podCIDR": held, "podCIDRs": [held]} if held else {}
    await world.create(kinds.NODE, {"metadata": {"name": name}, "spec": spec})


async def test_ranges_are_given_once_each() -> None:
    async with running(nodes=0) as world:
        await add(world, "own", "10.42.2.0/24")
        for name in ("a", "b", "c"):
            await add(world, name)
        await settle(200)
        assert sorted(ranges(world).items()) == [
            ("a", "10.42.1.0/24"), ("b", "10.42.3.0/24"), ("c", "10.42.4.0/24"),
            ("own", "10.42.2.0/24"),
        ]  # fmt: skip
        await world.delete(kinds.NODE, "b")
        await add(world, "d")
        await settle(200)
        assert ranges(world)["d"] == "10.42.3.0/24"


async def test_no_more_nodes_than_ranges() -> None:
    async with running(nodes=0) as world:
        for number in range(256):
            await add(world, f"n{number:03}")
        await settle(2000)
        given = [held for held in ranges(world).values() if held]
        assert len(given) == len(set(given)) == 255
