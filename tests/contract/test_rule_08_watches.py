"""Rule 8: what a watch begins with; that it tells of every change, in one order to all, with the
change's revision; whom it forgets."""

from __future__ import annotations

import asyncio

import pytest

from longshore.core.objects import kinds
from tests.doors.rig import TABLE, Kube, Watcher, config_map, kube, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize("revision", ["", "&resourceVersion=0", "&resourceVersion="])
async def test_without_a_revision_it_begins_with_what_is_there(revision: str) -> None:
    async with kube() as ask:
        for name in "ba":
            await ask("POST", MAPS, config_map(name))
        watch = await ask.watch(f"{MAPS}?watch=1{revision}")
        await ask("POST", MAPS, config_map("c"))
        seen = [await watch.seen() for _ in range(3)]
        assert seen == [("ADDED", "a", 3), ("ADDED", "b", 2), ("ADDED", "c", 4)]
        await watch.close()


async def test_with_one_it_tells_of_every_change_after_it() -> None:
    async with kube() as ask:
        for name in "abc":
            await ask("POST", MAPS, config_map(name))
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion=3")
        assert await watch.seen() == ("ADDED", "c", 4)
        await watch.close()


async def test_every_event_carries_the_revision_of_its_change_also_the_last() -> None:
    async with kube() as ask:
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion=1")
        await ask("POST", MAPS, config_map("a"))
        await ask("PUT", f"{MAPS}/a", config_map("a", k="v"))
        await ask("DELETE", f"{MAPS}/a")
        seen = [await watch.seen() for _ in range(3)]
        assert seen == [("ADDED", "a", 2), ("MODIFIED", "a", 3), ("DELETED", "a", 4)]
        await watch.close()


async def test_the_last_event_carries_the_last_state() -> None:
    async with kube() as ask:
        last = (await ask("POST", MAPS, config_map("a", k="v"))).doc
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion=2")
        await ask("DELETE", f"{MAPS}/a")
        last["metadata"]["resourceVersion"] = "3"
        assert await watch.event() == {"type": "DELETED", "object": last}
        await watch.close()


async def test_other_namespaces_are_not_told_of_unless_all_are_asked_for() -> None:
    async with kube() as ask:
        name = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
        await ask("POST", "/api/v1/namespaces", name)
        at = ask.registry.cache.revision
        one = await ask.watch(f"{MAPS}?watch=1&resourceVersion={at}")
        every = await ask.watch(f"/api/v1/configmaps?watch=1&resourceVersion={at}")
        await ask("POST", MAPS.replace("default", "other"), config_map("a"))
        await ask("POST", MAPS, config_map("b"))
        assert await one.seen() == ("ADDED", "b", at + 2)
        assert [(await every.seen())[1] for _ in range(2)] == ["a", "b"]
        await one.close()
        await every.close()


async def test_one_object_is_watched_by_its_name() -> None:
    async with kube() as ask:
        for name in "ab":
            await ask("POST", PODS, pod(name))
        watch = await ask.watch(f"{PODS}?watch=1&fieldSelector=metadata.name=b")
        assert (await watch.seen())[:2] == ("ADDED", "b")
        for name in "ab":
            await ask("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")
        assert (await watch.seen())[:2] == ("DELETED", "b")
        await watch.close()


async def test_a_limit_means_nothing_to_a_watch() -> None:
    async with kube() as ask:
        for name in "abc":
            await ask("POST", MAPS, config_map(name))
        watch = await ask.watch(f"{MAPS}?watch=1&limit=1")
        assert [(await watch.seen())[1] for _ in range(3)] == list("abc")
        await watch.close()


async def test_many_watchers_see_all_in_one_order_while_writes_are_gathered() -> None:
    async with kube() as ask:
        watches = [await ask.watch(f"{MAPS}?watch=1&resourceVersion=1") for _ in range(120)]
        events = [asyncio.ensure_future(_names(watch, 5)) for watch in watches]
        for name in "abcde":
            await ask("POST", MAPS, config_map(name))
            await ask.clock.advance(0.02)
        assert await asyncio.gather(*events) == [list("abcde")] * 120
        for watch in watches:
            await watch.close()


async def _names(watch: Watcher, count: int) -> list[str]:
    return [(await watch.seen())[1] for _ in range(count)]


async def test_a_closed_watch_leaves_nothing_behind() -> None:
    async with kube() as ask:
        watch = await ask.watch(f"{MAPS}?watch=1")
        hub = ask.registry.cache.shelf(kinds.CONFIG_MAP).hub
        assert len(hub) == 1
        await watch.close()
        assert len(hub) == 0
        assert not ask.door._api.watches.open


# --- the old paths ---


async def _first(ask: Kube, path: str, **headers: str) -> tuple[str, str, int]:
    watch = await ask.watch(path, **headers)
    seen = await watch.seen()
    await watch.close()
    return seen


async def test_the_old_paths_are_watches() -> None:
    async with kube() as ask:
        for name in "ab":
            await ask("POST", MAPS, config_map(name))
        await ask("POST", "/apis/apps/v1/namespaces/default/daemonsets", _daemon_set("d"))
        old = "/api/v1/watch/namespaces/default/configmaps"
        assert await _first(ask, old) == ("ADDED", "a", 2)
        assert await _first(ask, "/api/v1/watch/configmaps") == ("ADDED", "a", 2)
        assert await _first(ask, f"{old}/b") == ("ADDED", "b", 3)
        assert await _first(ask, f"{old}?resourceVersion=2") == ("ADDED", "b", 3)
        assert await _first(ask, "/api/v1/watch/namespaces/default") == ("ADDED", "default", 1)
        assert (await _first(ask, "/apis/apps/v1/watch/daemonsets"))[1] == "d"
        assert (await _first(ask, old, accept=TABLE))[2] == 2


async def test_what_is_no_watch_is_not_served_there() -> None:
    async with kube() as ask:
        old = "/api/v1/watch/namespaces/default/configmaps"
        for method, path in (
            ("POST", old), ("DELETE", old), ("GET", f"{old}/a/status"), ("GET", "/api/v1/watch"),
            ("GET", "/api/v1/watch/unicorns"), ("GET", "/apis/watch"),
        ):  # fmt: skip
            assert (await ask(method, path, {})).status == 404
        watching = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "watch"}}
        assert (await ask("POST", "/api/v1/namespaces", watching)).status == 201
        made = await ask("POST", MAPS.replace("default", "watch"), config_map("watch"))
        at = f"{MAPS.replace('default', 'watch')}/watch"
        assert (await ask("GET", at)).body == made.body


def _daemon_set(name: str) -> dict[str, object]:
    labels = {"app": name}
    containers = [{"name": "main", "image": "nginx:1.27"}]
    return {
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }
