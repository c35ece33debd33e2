"""Many watches are told in rounds: everyone hears everything once, and what is told is made once."""

from __future__ import annotations

import asyncio

from longshore.core.objects import kinds
from longshore.doors.kubernetes.watching import ROUND_MAX_S, ROUNDS_FROM, ROUSED_AT_ONCE
from longshore.testing.clock import settle
from tests.doors.rig import Kube, Watcher, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
PATHS = (
    f"{MAPS}?watch=1&resourceVersion=1",
    f"{MAPS}?watch=1&resourceVersion=1&fieldSelector=metadata.namespace=default",
    "/api/v1/configmaps?watch=1&resourceVersion=1",
)


async def _watches(ask: Kube, count: int) -> list[Watcher]:
    return [await ask.watch(PATHS[n % len(PATHS)]) for n in range(count)]


async def test_everyone_hears_everything_once() -> None:
    async with kube() as ask:
        watches = await _watches(ask, 3 * ROUNDS_FROM)
        heard = [asyncio.ensure_future(_three(watch)) for watch in watches]
        await settle()
        for name in "abc":
            await ask("POST", MAPS, config_map(name))
            await ask.clock.advance(ROUND_MAX_S / 3)
        await ask.clock.advance(2 * ROUND_MAX_S)
        await settle()
        told = [task.result() for task in heard]
        assert told == [[("ADDED", "a", 2), ("ADDED", "b", 3), ("ADDED", "c", 4)]] * len(watches)
        for watch in watches:
            await watch.close()
        assert len(ask.registry.cache.shelf(kinds.CONFIG_MAP).hub) == 0


async def _three(watch: Watcher) -> list[tuple[str, str, int]]:
    return [await watch.seen() for _ in range(3)]


async def test_few_are_told_at_once() -> None:
    async with kube() as ask:
        watches = await _watches(ask, 3)
        await ask("POST", MAPS, config_map("a"))
        assert [await watch.seen() for watch in watches] == [("ADDED", "a", 2)] * 3
        for watch in watches:
            await watch.close()


async def _listen(watch: Watcher, heard: list[str]) -> None:
    while True:
        heard.append((await watch.seen())[1])


async def test_a_crowd_waits_for_its_round_and_then_for_the_next() -> None:
    async with kube() as ask:
        watches = await _watches(ask, 3 * ROUSED_AT_ONCE)
        heard: list[str] = []
        listening = [asyncio.ensure_future(_listen(watch, heard)) for watch in watches]
        await settle()
        for name in "abc":
            heard.clear()
            await ask("POST", MAPS, config_map(name))
            await settle()
            assert heard == []
            await ask.clock.advance(ROUND_MAX_S)
            await settle()
            assert heard == [name] * len(watches)
        for task in listening:
            task.cancel()
        for watch in watches:
            await watch.close()
