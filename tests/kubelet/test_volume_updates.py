"""Volumes of running pods keep up with what they are made of, and no watch outlives its pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Delete, DeleteOptions, Patch
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.machinery.kubelet.volumes.following import FOLLOWED_AFTER_S, FOLLOWED_MAX
from longshore.machinery.kubelet.volumes.mounting import unmount_below

from .docs import container, pod
from .world import ADMIN, NODE, World, until, world

SOON_S = FOLLOWED_AFTER_S + 0.1


class Slow(InProcess):
    """An API server that thinks about every ConfigMap until it may answer."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, ADMIN)
        self.may_answer = asyncio.Event()

    async def get(self, kind: kinds.Kind, namespace: str, name: str) -> Doc:
        if kind is kinds.CONFIG_MAP:
            await self.may_answer.wait()
        return await super().get(kind, namespace, name)


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        made.start_agent()
        await until(lambda: made.registry.cache.get(kinds.NODE, "", NODE))
        yield made
    unmount_below(tmp_path)


async def running(w: World, volume: Doc, name: str = "web", **metadata: object) -> Path:
    """A pod that runs with a volume; the directory that is mounted."""
    main = container(volumeMounts=[{"name": "v", "mountPath": "/v"}])
    doc = pod(main, name=name, volumes=[{"name": "v", **volume}])
    await w.run_pod({**doc, "metadata": {**doc["metadata"], **metadata}})
    await until(lambda: w.phase(name) == "Running")
    return next(Path(m.source) for m in w.runtime.started[-1].mounts if m.target == "/v")


async def test_the_sandbox_is_made_while_the_api_server_is_asked(w: World) -> None:
    await w.stop_agent()
    slow = Slow(w.registry)
    w.start_agent(slow)
    await config_map(w, "app")
    main = container(volumeMounts=[{"name": "v", "mountPath": "/v"}])
    for name in ("web", "brief"):
        await w.run_pod(pod(main, name=name, volumes=[{"name": "v", "configMap": {"name": "app"}}]))
    await w.clock.advance(1)
    assert {one.name for one in await w.runtime.sandboxes()} == {"web", "brief"}
    assert (w.phase(), w.runtime.started) == ("Pending", [])
    await w.delete("brief")
    slow.may_answer.set()
    await until(lambda: runs(w, "web"))
    await until(lambda: w.gone("brief"))
    assert [one.name for one in await w.runtime.sandboxes()] == ["web"]


async def config_map(w: World, name: str, **more: object) -> None:
    made = {"metadata": {"name": name, "namespace": "shop"}, "data": {"level": "debug"}, **more}
    await w.create(kinds.CONFIG_MAP, made)


async def set_level(w: World, name: str, level: str) -> None:
    await w.client.write(Patch(kinds.CONFIG_MAP, "shop", name, {"data": {"level": level}}))


def watches(w: World, kind: kinds.Kind = kinds.CONFIG_MAP) -> int:
    """How many listen to a kind at the API server."""
    return len(w.registry.cache.shelf(kind).hub)


def runs(w: World, name: str) -> bool:
    return w.phase(name) == "Running"


def holds(directory: Path, file: str, text: str) -> bool:
    path = directory / file
    return path.exists() and path.read_text() == text


async def test_a_change_is_there_in_a_moment(w: World) -> None:
    await config_map(w, "app")
    one = await running(w, {"configMap": {"name": "app"}}, "one")
    two = await running(w, {"projected": {"sources": [{"configMap": {"name": "app"}}]}}, "two")
    await set_level(w, "app", "before anybody watches")
    await w.clock.advance(SOON_S)
    await until(lambda: holds(one, "level", "before anybody watches"))
    await until(lambda: holds(two, "level", "before anybody watches"))
    assert watches(w) == 1
    await set_level(w, "app", "info")
    await until(lambda: holds(one, "level", "info") and holds(two, "level", "info"))


async def test_a_secret_that_comes_late_and_goes(w: World) -> None:
    volume = {"secret": {"secretName": "late", "optional": True}}
    directory = await running(w, volume)
    await w.clock.advance(SOON_S)
    metadata = {"name": "late", "namespace": "shop"}
    await w.create(kinds.SECRET, {"metadata": metadata, "stringData": {"key": "opened"}})
    await until(lambda: holds(directory, "key", "opened"))
    await w.client.write(Delete(kinds.SECRET, "shop", "late", DeleteOptions()))
    await until(lambda: not (directory / "key").exists())


async def test_what_a_pod_waits_for_is_taken_at_once(w: World) -> None:
    await w.run_pod(pod(volumes=[{"name": "conf", "configMap": {"name": "late"}}]))
    await until(lambda: "not found" in (w.status().get("message") or ""))
    await w.clock.advance(SOON_S)
    await config_map(w, "late")
    await until(lambda: w.phase() == "Running")


async def test_a_pods_own_labels_and_annotations_are_there_at_once(w: World) -> None:
    items = [{"path": part, "fieldRef": {"fieldPath": f"metadata.{part}"}}
             for part in ("labels", "annotations")]  # fmt: skip
    directory = await running(w, {"downwardAPI": {"items": items}}, labels={"tier": "front"})
    assert holds(directory, "labels", 'tier="front"')
    new = {"metadata": {"labels": {"tier": "back"}, "annotations": {"who": "me"}}}
    await w.client.write(Patch(kinds.POD, "shop", "web", new))
    await until(lambda: holds(directory, "labels", 'tier="back"'))
    await until(lambda: holds(directory, "annotations", 'who="me"'))


async def test_watches_end_with_the_last_pod_that_has_the_object(w: World) -> None:
    await config_map(w, "app")
    for name in ("one", "two"):
        await running(w, {"configMap": {"name": "app"}}, name)
    await w.clock.advance(SOON_S)
    assert watches(w) == 1
    await w.delete("one", 0)
    await until(lambda: w.gone("one"))
    assert watches(w) == 1
    await w.delete("two", 0)
    await until(lambda: w.gone("two") and watches(w) == 0)


async def test_what_cannot_change_or_ends_at_once_is_not_watched(w: World) -> None:
    await config_map(w, "fixed", immutable=True)
    await config_map(w, "kube-root-ca.crt")
    for name in ("fixed", "kube-root-ca.crt"):
        await running(w, {"configMap": {"name": name}}, name.partition(".")[0])
    await config_map(w, "app")
    await running(w, {"configMap": {"name": "app"}}, "short")
    await w.runtime.crash((await w.pod("short"))["metadata"]["uid"], "main", 0)
    await w.delete("short", 0)
    await until(lambda: w.gone("short"))
    await w.clock.advance(SOON_S)
    assert watches(w) == 0


async def test_more_than_may_be_watched_are_read_every_minute(w: World) -> None:
    names = [f"m{number}" for number in range(FOLLOWED_MAX + 1)]
    for name in names:
        await config_map(w, name)
    sources = [{"configMap": {"name": n, "items": [{"key": "level", "path": n}]}} for n in names]
    directory = await running(w, {"projected": {"sources": sources}})
    await w.clock.advance(SOON_S)
    assert watches(w) == FOLLOWED_MAX
    for name in names:
        await set_level(w, name, "info")
    await w.clock.advance(61)
    await until(lambda: all(holds(directory, name, "info") for name in names))


async def test_a_change_during_a_refresh_is_not_lost(w: World) -> None:
    """The second object changes while the agent reads both for the sake of the first."""
    await config_map(w, "one")
    await config_map(w, "two")
    sources = [
        {"configMap": {"name": n, "items": [{"key": "level", "path": n}]}} for n in ("one", "two")
    ]
    directory = await running(w, {"projected": {"sources": sources}})
    await w.clock.advance(SOON_S)
    for number in range(20):
        for name in ("one", "two"):
            await set_level(w, name, f"{name} {number}")
    await until(lambda: holds(directory, "one", "one 19") and holds(directory, "two", "two 19"))


async def test_a_pod_that_comes_while_its_object_changes_has_the_change(w: World) -> None:
    await config_map(w, "app")
    await running(w, {"configMap": {"name": "app"}}, "first")
    await w.clock.advance(SOON_S)
    directories = []
    for number in range(5):
        made = await w.run_pod(
            pod(
                container(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                name=f"p{number}",
                volumes=[{"name": "v", "configMap": {"name": "app"}}],
            )
        )
        await set_level(w, "app", f"level {number}")
        await until(partial(runs, w, f"p{number}"))
        directories.append(w.root / "pods" / made["metadata"]["uid"] / "volumes" / "v")
    await until(lambda: all(holds(directory, "level", "level 4") for directory in directories))
