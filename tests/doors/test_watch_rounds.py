"""Many watches are told in rounds: everyone hears everything once, and what is told is made once."""

from __future__ import annotations

import asyncio
from functools import partial

import orjson

from longshore.core.objects import kinds
from longshore.doors.kit.http import AnyReply, Request
from longshore.doors.kubernetes.watching import (
    BOOKMARK_EVERY_S,
    ROUND_MAX_S,
    ROUNDS_FROM,
    ROUSED_AT_ONCE,
)
from longshore.testing.clock import settle
from tests.doors.rig import ADMIN, Kube, Raw, Watcher, config_map, kube, serving

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


async def _handled(ask: Kube, request: Request) -> AnyReply:
    request.user = ADMIN
    return await ask.door.handle(request)


async def test_connections_are_told_without_a_turn_of_their_own_and_end_well() -> None:
    async with kube() as ask, serving(partial(_handled, ask)) as (server, port):
        clients = [await Raw.to(port) for _ in range(3)]
        for client in clients:
            client.send(
                f"GET {PATHS[0]}&allowWatchBookmarks=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            )
            await client.head()
        lines = [client.chunks() for client in clients]
        for name in "abc":
            await ask("POST", MAPS, config_map(name))
            told = [orjson.loads(await anext(line)) for line in lines]
            assert [one["object"]["metadata"]["name"] for one in told] == [name] * 3
        await ask.clock.advance(BOOKMARK_EVERY_S + 1)
        assert [orjson.loads(await anext(line))["type"] for line in lines] == ["BOOKMARK"] * 3
        clients[0].writer.close()
        await ask("POST", MAPS, config_map("d"))
        assert b'"name":"d"' in await anext(lines[1])
        server.stop()
        assert b'"name":"d"' in await anext(lines[2])
        for line in lines[1:]:
            assert [rest async for rest in line] == []
        for client in clients[1:]:
            await client.close()


async def test_who_reads_late_misses_nothing_and_keeps_nobody_waiting() -> None:
    async with kube() as ask, serving(partial(_handled, ask)) as (_, port):
        late, quick = await Raw.to(port), await Raw.to(port)
        for client in (late, quick):
            client.send(f"GET {PATHS[0]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await client.head()
        lines = quick.chunks()
        await ask("POST", MAPS, config_map("a", filling="x" * 1_000_000))
        await anext(lines)
        for number in range(20):  # far more than sockets hold
            await ask("PATCH", f"{MAPS}/a", {"data": {"n": str(number)}}, **_MERGE)
            assert b'"n":"%d"' % number in await anext(lines)
        heard = b""
        async for piece in late.chunks():
            heard += piece
            if b'"n":"19"' in piece:
                break
        seen = [orjson.loads(line)["object"]["data"].get("n") for line in heard.splitlines()]
        assert seen == [None, *map(str, range(20))]
        await late.close()
        await quick.close()


_MERGE: dict[str, str | list[str]] = {"content-type": "application/merge-patch+json"}
