"""What the registry shows of an object is the same by every road, and after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson

from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.registry.reads import ListOptions
from longshore.core.registry.registry import Registry
from longshore.core.registry.sent import WriteOptions
from longshore.core.store.sqlite import SqliteStore
from longshore.core.watch.stored import Stored
from longshore.testing.clock import VirtualClock

from .conftest import ADMIN

STATUS: Doc = {"status": {"phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}]}}


def pod(name: str, image: str = "web:1") -> Doc:
    metadata: Doc = {"name": name, "namespace": "n", "labels": {"app": "web"}}
    spec: Doc = {"containers": [{"name": "web", "image": image}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def by(manager: str, *, forced: bool = False) -> WriteOptions:
    return WriteOptions(manager=manager, forced=forced, who=ADMIN)


async def written(registry: Registry, clock: VirtualClock) -> list[Stored]:
    """Pods by every kind of write, by several managers at several times; the last states."""
    await registry.create(ADMIN, kinds.NAMESPACE, {"metadata": {"name": "n"}})
    await registry.create(
        ADMIN, kinds.SERVICE_ACCOUNT, {"metadata": {"name": "default"}}, namespace="n"
    )
    refs = [Ref(kinds.POD, "n", f"p{number}") for number in range(4)]
    for ref in refs:
        await registry.create(ADMIN, kinds.POD, pod(ref.name), namespace="n", options=by("maker"))
    await clock.advance(61)
    status = Ref(kinds.POD, "n", "p0", "status")
    merge = "application/merge-patch+json"
    last = [
        (await registry.patch(ADMIN, status, merge, orjson.dumps(STATUS), by("kubelet")))[0],
        (await registry.apply(ADMIN, refs[1], pod("p1", "web:2"), by("app", forced=True)))[0],
    ]
    changed = last[0].fresh()
    changed["metadata"]["labels"] = {"app": "other"}
    last[0] = (await registry.update(ADMIN, refs[0], changed, by('a}],"')))[0]
    clean = b'{"metadata":{"managedFields":[{}]}}'
    last.append((await registry.patch(ADMIN, refs[2], merge, clean, by("cleaner")))[0])
    last.append(registry.get(ADMIN, refs[3]))
    return last


async def test_every_road_shows_the_same_and_so_does_a_restart(tmp_path: Path) -> None:
    clock = VirtualClock()
    registry = Registry(SqliteStore(tmp_path / "s.db"), clock, Chance.seeded(1))
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        last = await written(registry, clock)
        running.cancel()
    shown = [stored.raw for stored in last]
    owners = [[e["manager"] for e in s.fresh()["metadata"].get("managedFields", ())] for s in last]
    assert owners == [["maker", 'a}],"', "kubelet"], ["app", "maker"], [], ["maker"]]
    for stored in last:
        assert orjson.loads(stored.raw) == stored.fresh() == stored.doc

    def seen(registry: Registry) -> list[bytes]:
        return [stored.raw for stored in registry.list(ADMIN, kinds.POD, "n", ListOptions()).items]

    assert seen(registry) == shown
    feed = registry.watch(ADMIN, kinds.POD, "n", ListOptions(revision="1"))
    lines = {frame.stored.name: orjson.loads(frame.line())["object"] for frame in feed.take()}
    assert lines == {stored.name: orjson.loads(stored.raw) for stored in last}
    await registry.close()
    again = Registry(SqliteStore(tmp_path / "s.db"), clock, Chance.seeded(1))
    await again.open()
    assert seen(again) == shown
    await again.close()
