"""Two registries on one real etcd: what one writes the other hears, and nothing is given out twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.objects import kinds
from longshore.core.objects.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    Forbidden,
    InternalError,
    NotFound,
    Timeout,
    Unavailable,
)
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.registry.client import Bind, DeleteOptions
from longshore.core.registry.reads import ListOptions
from longshore.core.registry.registry import RegistryConfig
from longshore.core.registry.services import ServiceRanges
from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.etcd.members import COMPACT, RANGE
from longshore.core.store.sealing import AesGcm, Identity, Sealing
from longshore.core.watch.stored import Stored
from tests.core.registry.servers import ADMIN, Server, new_prefix, running
from tests.core.store import etcds
from tests.core.store.etcds import Cluster, needs_etcd

FEW = RegistryConfig(ServiceRanges(IPv4Network("10.96.0.0/26"), range(30000, 30012)))


@pytest.fixture
async def pair(etcd: Cluster) -> AsyncIterator[tuple[Server, Server]]:
    """Both draw the same numbers, so that they want the same addresses."""
    prefix = new_prefix()
    a, b = (Server(etcd, prefix, name, 1, FEW) for name in "ab")
    async with running(a, b):
        await a.create(kinds.NAMESPACE, {"metadata": {"name": "default"}})
        await b.registry.confirm()
        yield a, b


def config_map(name: str, **data: str) -> Doc:
    return {"metadata": {"name": name}, "data": data}


def ref(name: str) -> Ref:
    return Ref(kinds.CONFIG_MAP, "default", name)


async def both(*works: Awaitable[object]) -> list[object]:
    return list(await asyncio.gather(*works, return_exceptions=True))


async def test_a_write_through_one_is_watched_through_the_other(
    pair: tuple[Server, Server],
) -> None:
    a, b = pair
    feed = b.registry.cache.subscribe(kinds.CONFIG_MAP)
    made = await a.create(kinds.CONFIG_MAP, config_map("one", key="1"))
    (frame,) = await feed.next_batch()
    assert (frame.type, frame.doc) == ("ADDED", made)
    stored, _ = await a.registry.update(ADMIN, ref("one"), {**made, "data": {"key": "2"}})
    (frame,) = await feed.next_batch()
    assert (frame.type, frame.doc["data"]) == ("MODIFIED", {"key": "2"})
    assert frame.stored.revision == stored.revision
    await a.registry.delete(ADMIN, ref("one"), DeleteOptions())
    (frame,) = await feed.next_batch()
    assert (frame.type, frame.doc["data"]) == ("DELETED", {"key": "2"})


async def test_who_wrote_reads_it_at_once_and_others_when_they_ask_for_what_is_newest(
    pair: tuple[Server, Server],
) -> None:
    for number in range(40):
        writer, reader = pair[number % 2], pair[1 - number % 2]
        await writer.create(kinds.CONFIG_MAP, config_map(f"n{number}"))
        assert f"n{number}" in writer.names(kinds.CONFIG_MAP)
        assert f"n{number}" in await reader.newest(kinds.CONFIG_MAP)


async def test_one_question_serves_all_who_wait(
    pair: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = pair
    asked = 0
    newest = a.store.newest

    async def counted() -> int:
        nonlocal asked
        asked += 1
        return await newest()

    monkeypatch.setattr(a.store, "newest", counted)
    await asyncio.gather(*(a.registry.confirm() for _ in range(500)))
    assert asked <= 2


async def test_a_stale_revision_is_a_conflict_on_either_server(
    pair: tuple[Server, Server],
) -> None:
    a, b = pair
    old = await a.create(kinds.CONFIG_MAP, config_map("one"))
    await b.registry.confirm()
    both_update = [
        server.registry.update(ADMIN, ref("one"), {**old, "data": {"by": name}})
        for server, name in ((a, "a"), (b, "b"))
    ]
    answers = await both(*both_update)
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert len(refused) == 1 and isinstance(refused[0], Conflict)


async def test_what_depends_on_what_is_there_is_planned_again_and_never_lost(
    pair: tuple[Server, Server],
) -> None:
    await pair[0].create(kinds.CONFIG_MAP, config_map("one", count="0"))

    def one_more(stored: Stored) -> Doc:
        doc = stored.fresh()
        return {**doc, "data": {"count": str(int(doc["data"]["count"]) + 1)}}

    works = [pair[n % 2].registry.change(ADMIN, ref("one"), one_more) for n in range(40)]
    await asyncio.gather(*works)
    await pair[1].registry.confirm()
    for server in pair:
        doc = server.registry.cache.get(kinds.CONFIG_MAP, "default", "one")
        assert doc is not None and doc["data"] == {"count": "40"}


async def test_refusals_count_by_what_is_newest(pair: tuple[Server, Server]) -> None:
    """Each of these would be refused, or be nothing to do, by what the other server knows."""
    a, b = pair
    for number in range(10):
        name = f"n{number}"
        await a.create(kinds.NAMESPACE, {"metadata": {"name": name}})
        await b.create(kinds.CONFIG_MAP, config_map("in-it"), name)
        where = Ref(kinds.CONFIG_MAP, name, "in-it")
        patch = b'{"data":{"key":"%d"}}' % number
        await a.registry.patch(ADMIN, where, "application/merge-patch+json", patch)
        await b.registry.patch(ADMIN, where, "application/merge-patch+json", b'{"data":null}')
        stored, _ = await a.registry.patch(ADMIN, where, "application/merge-patch+json", patch)
        assert stored.doc["data"] == {"key": str(number)}
        await b.registry.delete(ADMIN, where, DeleteOptions())
        await a.create(kinds.CONFIG_MAP, config_map("in-it"), name)


async def test_a_name_is_given_once(pair: tuple[Server, Server]) -> None:
    for number in range(10):
        works = (server.create(kinds.CONFIG_MAP, config_map(f"n{number}")) for server in pair)
        answers = await both(*works)
        assert {type(answer) for answer in answers} == {dict, AlreadyExists}


async def test_a_quota_is_never_exceeded(pair: tuple[Server, Server]) -> None:
    a, b = pair
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"count/configmaps": "7"}}}
    await a.create(kinds.RESOURCE_QUOTA, quota)
    await b.registry.confirm()
    works = [pair[n % 2].create(kinds.CONFIG_MAP, config_map(f"n{n}")) for n in range(40)]
    answers = await both(*works)
    made = [answer for answer in answers if isinstance(answer, dict)]
    assert {type(answer) for answer in answers} == {dict, Forbidden}
    assert len(made) == 7 == len(await a.newest(kinds.CONFIG_MAP))
    await b.registry.delete(ADMIN, ref(made[0]["metadata"]["name"]), DeleteOptions())
    await a.create(kinds.CONFIG_MAP, config_map("again"))
    with pytest.raises(Forbidden, match="exceeded quota"):
        await b.create(kinds.CONFIG_MAP, config_map("too-many"))


async def test_no_address_and_no_node_port_is_given_twice(pair: tuple[Server, Server]) -> None:
    ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]

    def service(name: str) -> Doc:
        return {"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": ports}}

    works = [pair[n % 2].create(kinds.SERVICE, service(f"s{n}")) for n in range(10)]
    answers = await both(*works)
    made = [answer["spec"] for answer in answers if isinstance(answer, dict)]
    assert len(made) == 6, "twelve ports are enough for six Services"
    assert {type(answer) for answer in answers} == {dict, InternalError}
    assert len({spec["clusterIP"] for spec in made}) == 6
    assert len({port["nodePort"] for spec in made for port in spec["ports"]}) == 12


async def test_nothing_is_made_in_a_namespace_that_ends(pair: tuple[Server, Server]) -> None:
    a, b = pair
    for number in range(5):
        name = f"n{number}"
        await a.create(kinds.NAMESPACE, {"metadata": {"name": name}})
        await b.registry.confirm()
        ending = a.registry.delete(ADMIN, Ref(kinds.NAMESPACE, "", name), DeleteOptions())
        works = [b.create(kinds.CONFIG_MAP, config_map(f"c{n}"), name) for n in range(20)]
        answers = await both(ending, *works)
        marked = a.registry.cache.shelf(kinds.NAMESPACE).get(kinds.NAMESPACE.key("", name))
        assert marked is not None and "deletionTimestamp" in marked.doc["metadata"]
        made = [answer for answer in answers[1:] if isinstance(answer, dict)]
        assert all(int(one["metadata"]["resourceVersion"]) < marked.revision for one in made)
        with pytest.raises((Forbidden, NotFound)):
            await b.create(kinds.CONFIG_MAP, config_map("late"), name)


async def test_a_list_goes_on_at_the_other_server(pair: tuple[Server, Server]) -> None:
    a, b = pair
    for number in range(6):
        await a.create(kinds.CONFIG_MAP, config_map(f"n{number}"))
    page = a.registry.list(ADMIN, kinds.CONFIG_MAP, "default", ListOptions(limit=4))
    await b.registry.confirm()
    rest = ListOptions(limit=4, continue_=page.continue_)
    names = [one.name for one in b.registry.list(ADMIN, kinds.CONFIG_MAP, "default", rest).items]
    assert names == ["n4", "n5"]


async def test_a_server_that_missed_too_much_reads_all_anew_and_its_watchers_list_again(
    etcd: Cluster,
) -> None:
    prefix = new_prefix()
    a, b = Server(etcd, prefix, "a", 1), Server(etcd, prefix, "b", 2)
    await b.registry.open()
    async with running(a):
        await a.create(kinds.NAMESPACE, {"metadata": {"name": "default"}})
        for name in ("one", "two"):
            await a.create(kinds.CONFIG_MAP, config_map(name))
        await a.registry.delete(ADMIN, ref("one"), DeleteOptions())
        await forget(a)
        feed = b.registry.cache.subscribe(kinds.CONFIG_MAP)
        async with asyncio.TaskGroup() as crew:
            running_b = crew.create_task(b.registry.run())
            with pytest.raises(Expired):
                await feed.next_batch()
            assert await b.newest(kinds.CONFIG_MAP) == ["two"]
            again = b.registry.cache.subscribe(kinds.CONFIG_MAP)
            assert [frame.stored.name for frame in await again.next_batch()] == ["two"]
            await b.create(kinds.CONFIG_MAP, config_map("three"))
            (frame,) = await again.next_batch()
            assert frame.stored.name == "three"
            assert await a.newest(kinds.CONFIG_MAP) == ["three", "two"]
            running_b.cancel()
        await b.registry.close()


async def forget(server: Server) -> None:
    """Compact all of etcd's history."""
    now = await server.members.ask(RANGE, rpc.RangeRequest(key=b"/"))
    await server.members.ask(COMPACT, rpc.CompactionRequest(revision=now.header.revision))


async def test_the_same_name_twice_ends_the_server_that_had_it(etcd: Cluster) -> None:
    prefix = new_prefix()
    first, second = Server(etcd, prefix, "a", 1), Server(etcd, prefix, "a", 2)
    await first.registry.open()
    running_first = asyncio.ensure_future(first.registry.run())
    await first.create(kinds.NAMESPACE, {"metadata": {"name": "default"}})
    async with running(second):
        with pytest.raises(Unavailable, match="another process writes to etcd"):
            await first.create(kinds.CONFIG_MAP, config_map("late"))
        await second.create(kinds.CONFIG_MAP, config_map("mine"))
    with pytest.raises(ExceptionGroup) as ended:
        await running_first
    assert "StoreBusy" in repr(ended.value)
    await first.registry.close()


async def test_a_server_that_lacks_a_key_says_so_and_hears_on_when_it_has_it(
    pair: tuple[Server, Server],
) -> None:
    a, b = pair
    old, new = AesGcm("old", b"o" * 32), AesGcm("new", b"n" * 32)
    a.store.turn_to(Sealing({kinds.SECRET.prefix: [new, old, Identity()]}))
    await a.create(kinds.SECRET, {"metadata": {"name": "s"}, "stringData": {"key": "value"}})
    async with asyncio.timeout(30):
        while hears(b):
            await SystemClock().sleep(0.01)
    with pytest.raises(Unavailable, match="this server lacks a key of what another one encrypts"):
        await b.registry.confirm()
    assert b.names(kinds.SECRET) == []
    b.store.turn_to(Sealing({kinds.SECRET.prefix: [old, new, Identity()]}))
    async with asyncio.timeout(30):
        while not hears(b):
            await SystemClock().sleep(0.01)
    assert await b.newest(kinds.SECRET) == ["s"]
    await b.create(kinds.SECRET, {"metadata": {"name": "t"}})
    assert await a.newest(kinds.SECRET) == ["s", "t"]


def hears(server: Server) -> bool:
    return server.registry.hears


@pytest.mark.slow
@needs_etcd
async def test_without_a_majority_writers_and_readers_are_told_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    with etcds.running(tmp_path, 3) as cluster:
        server, clock = Server(cluster, "/majority", "a", 1), SystemClock()
        async with running(server):
            await server.create(kinds.NAMESPACE, {"metadata": {"name": "default"}})
            made = await server.create(kinds.CONFIG_MAP, config_map("one"))
            feed = server.registry.cache.subscribe(kinds.CONFIG_MAP)
            await feed.next_batch()
            for member in cluster.members[:2]:
                member.kill()
            begun = clock.monotonic()
            works = [server.create(kinds.CONFIG_MAP, config_map(f"n{n}")) for n in range(3)]
            again = [server.registry.confirm() for _ in range(3)]
            answers = await both(*works, *again)
            assert {type(answer) for answer in answers} == {Timeout, Unavailable}
            assert clock.monotonic() - begun < 100
            assert not hears(server)
            begun = clock.monotonic()
            for refused in (
                server.create(kinds.CONFIG_MAP, config_map("x")),
                server.registry.confirm(),
            ):
                with pytest.raises(Unavailable, match="the store does not answer") as told:
                    await refused
                assert told.value.retry_after_s
            assert clock.monotonic() - begun < 10, "it was known, and not asked for again"
            assert server.registry.get(ADMIN, ref("one")).doc == made, "as resourceVersion=0 has it"
            for member in cluster.members[:2]:
                cluster.start(member)
            async with asyncio.timeout(30):
                while not hears(server):
                    await clock.sleep(0.05)
            late = await server.create(kinds.CONFIG_MAP, config_map("late"))
            names = await server.newest(kinds.CONFIG_MAP)
            heard = [frame.stored.name for frame in await feed.next_batch()]
            assert sorted(heard) == [name for name in names if name != "one"]
            assert late["metadata"]["name"] in heard


@needs_etcd
async def test_a_feed_that_breaks_goes_on_at_the_next_member(tmp_path: Path) -> None:
    """Nothing is missed, nothing comes twice; see tests/core/store/test_etcd_faults.py for more."""
    with etcds.running(tmp_path, 3) as cluster:
        a, b = Server(cluster, "/break", "a", 1), Server(cluster, "/break", "b", 2)
        async with running(a, b):
            await a.create(kinds.NAMESPACE, {"metadata": {"name": "default"}})
            feed, heard = b.registry.cache.subscribe(kinds.CONFIG_MAP), list[str]()
            for number in range(60):
                if number == 20:
                    cluster.members[0].kill()
                await a.create(kinds.CONFIG_MAP, config_map(f"n{number}"))
            while len(heard) < 60:
                heard += [frame.stored.name for frame in await feed.next_batch()]
            assert heard == [f"n{number}" for number in range(60)]


async def test_servers_that_bind_to_one_node_never_overcommit_it(
    pair: tuple[Server, Server],
) -> None:
    """Each has heard of nothing of the other's when it plans."""
    a, b = pair
    had = {"allocatable": {"cpu": "7", "memory": "1Gi", "pods": "100"}}
    await a.create(kinds.NODE, {"metadata": {"name": "n1"}, "status": had})
    names = [f"p{number}" for number in range(12)]
    for name in names:
        one = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}
        await a.create(kinds.POD, {"metadata": {"name": name}, "spec": {"containers": [one]}})
    await b.registry.confirm()
    answers = await both(
        *(
            server.registry.bind(ADMIN, Bind("default", name, "n1"))
            for server, part in ((a, names[:6]), (b, names[6:]))
            for name in part
        )
    )
    refused = [one for one in answers if isinstance(one, Conflict)]
    assert len(refused) == 5, answers
    assert all("enough resource: cpu" in one.message for one in refused)
    await b.registry.confirm()
    assert len(list(b.registry.cache.shelf(kinds.POD).found(("node", "n1")))) == 7


async def test_what_one_server_offers_no_other_binds(pair: tuple[Server, Server]) -> None:
    a, b = pair
    had = {"allocatable": {"cpu": "4", "memory": "1Gi", "pods": "100"}}
    for node in ("n1", "n2", "n3"):
        await a.create(kinds.NODE, {"metadata": {"name": node}, "status": had})
        one = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "3"}}}
        await a.create(kinds.POD, {"metadata": {"name": node}, "spec": {"containers": [one]}})
    await b.registry.confirm()
    for node in ("n1", "n2", "n3"):
        resources = {"cpu": "2", "pods": "1"}
        spec = {"schedulerName": "mine", "nodeName": node, "resources": resources}
        offer = {"metadata": {"name": node}, "spec": spec}
        answers = await both(
            a.create(kinds.OFFER, offer),
            b.registry.bind(ADMIN, Bind("default", node, node)),
        )
        refused = [one for one in answers if isinstance(one, Conflict)]
        assert len(refused) == 1, answers
