"""A server that ends and starts again: every object is there, and no revision goes backwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.registry import Registry
from longshore.core.store.sqlite import SqliteStore
from longshore.testing.clock import VirtualClock

from .conftest import ADMIN


async def life(path: Path, objects: list[Doc]) -> tuple[list[bytes], int]:
    """Start a registry, create objects, stop it; all ConfigMaps and Services, and the revision."""
    registry = Registry(SqliteStore(path), VirtualClock(), Chance.seeded(2))
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        for doc in objects:
            kind = kinds.KINDS.named("v1", doc["kind"])
            assert kind is not None
            await registry.create(ADMIN, kind, doc, namespace=doc["metadata"].get("namespace", ""))
        running.cancel()
    shown = [
        stored.raw
        for kind in (kinds.CONFIG_MAP, kinds.SERVICE)
        for stored in registry.cache.shelf(kind).range(kind.prefix)
    ]
    await registry.close()
    return shown, registry.cache.revision


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    objects: list[Doc] = [{"kind": "Namespace", "metadata": {"name": "n"}}]
    objects += [
        {"kind": "ConfigMap", "metadata": {"name": f"c{i}", "namespace": "n"}} for i in range(9)
    ]
    service = {"metadata": {"name": "s", "namespace": "n"}, "spec": {"ports": [{"port": 1}]}}
    objects.append({"kind": "Service", **service})
    before, revision = await life(tmp_path / "s.db", objects)
    again, later = await life(tmp_path / "s.db", [])
    assert again == before
    assert (len(again), later) == (10, revision)
