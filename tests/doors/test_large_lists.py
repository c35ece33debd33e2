"""Lists that are too large for one turn of the loop: whole in every form, and in nobody's way."""

from __future__ import annotations

import asyncio
import gzip

import orjson
import pytest
import yaml

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create
from longshore.doors.kit.http import AnyReply, Request, SlicedReply
from longshore.doors.kubernetes.pages import SLICE_BYTES
from tests.doors.rig import ADMIN, JSON, TABLE, Kube, Raw, kube, pod, serving

PODS = "/api/v1/namespaces/default/pods"
PARTIAL = f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
# How many turns of the loop lie between a request and its answer, on both sides of the wire.
TURNS = 4


async def _fill(ask: Kube, count: int, size: int = 1500) -> None:
    text = {"annotations": {"example.org/text": "x" * size}}
    creates = [
        Create(kinds.POD, pod(f"p-{n:05}", namespace="default", **text)) for n in range(count)
    ]
    for start in range(0, count, 500):
        await ask.registry.submit(ADMIN, creates[start : start + 500])


def _names(items: list[Doc]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


async def test_a_list_in_slices_is_the_list() -> None:
    async with kube() as ask:
        await _fill(ask, 420)
        reply = await ask.raw("GET", PODS)
        assert isinstance(reply, SlicedReply)
        listed = (await ask("GET", PODS)).doc
        assert (listed["kind"], listed["apiVersion"]) == ("PodList", "v1")
        assert _names(listed["items"]) == [f"p-{n:05}" for n in range(420)]
        one = (await ask("GET", f"{PODS}/p-00007")).doc
        assert listed["items"][7] == {k: one[k] for k in one if k not in ("kind", "apiVersion")}


@pytest.mark.parametrize("count", [0, 1, 50, 51, 120])
async def test_every_form_says_the_same(count: int) -> None:
    async with kube() as ask:
        await _fill(ask, count, size=3)
        plain = (await ask("GET", PODS)).doc
        assert (await ask("GET", f"{PODS}?pretty=true")).doc == plain
        as_yaml = yaml.load(
            (await ask("GET", PODS, accept="application/yaml")).body, yaml.CSafeLoader
        )
        assert as_yaml == plain
        table = (await ask("GET", PODS, accept=TABLE)).doc
        assert [row["cells"][0] for row in table["rows"]] == _names(plain["items"])
        assert [row["object"]["metadata"] for row in table["rows"]] == [
            item["metadata"] for item in plain["items"]
        ]
        partial = (await ask("GET", PODS, accept=PARTIAL)).doc
        assert partial["metadata"] == table["metadata"] == plain["metadata"]
        assert [item["metadata"] for item in partial["items"]] == [
            item["metadata"] for item in plain["items"]
        ]


async def test_the_pretty_form_is_indented_as_one_document() -> None:
    async with kube() as ask:
        await _fill(ask, 120, size=3)
        body = (await ask("GET", f"{PODS}?pretty=true")).body
        assert body == orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)


class _Shown:
    """A door whose callers are all the admin: what is measured here needs no certificates."""

    def __init__(self, ask: Kube) -> None:
        self._door = ask.door
        self.user: User = ADMIN

    async def __call__(self, request: Request) -> AnyReply:
        request.user = self.user
        return await self._door.handle(request)


def _get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: x", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


async def test_a_list_on_the_wire_is_whole_and_compressed_if_wanted() -> None:
    async with kube() as ask, serving(_Shown(ask)) as (_, port):
        await _fill(ask, 500)
        client = await Raw.to(port)
        client.send(_get(PODS))
        _, headers, plain = await client.reply()
        assert headers["transfer-encoding"] == "chunked"
        assert len(orjson.loads(plain)["items"]) == 500
        client.send(_get(PODS, "Accept-Encoding: gzip") + _get(f"{PODS}/p-00001"))
        _, headers, packed = await client.reply()
        assert headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed) == plain and len(packed) < len(plain) / 4
        assert orjson.loads((await client.reply())[2])["metadata"]["name"] == "p-00001"
        await client.close()


async def test_a_list_for_an_old_client_ends_with_the_connection() -> None:
    async with kube() as ask, serving(_Shown(ask)) as (_, port):
        await _fill(ask, 500)
        client = await Raw.to(port)
        client.send(f"GET {PODS} HTTP/1.0\r\n\r\n".encode())
        assert "chunked" not in (await client.head()).lower()
        assert len(orjson.loads(await client.reader.read())["items"]) == 500
        await client.close()


async def test_a_list_that_is_being_sent_is_whole_though_the_server_stops() -> None:
    async with kube() as ask, serving(_Shown(ask)) as (server, port):
        await _fill(ask, 3000)
        client = await Raw.to(port)
        client.send(_get(PODS))
        assert "chunked" in await client.head()
        server.stop()
        body = b"".join([chunk async for chunk in client.chunks()])
        assert len(orjson.loads(body)["items"]) == 3000
        await client.close()


async def test_only_the_head_of_a_list_may_be_asked_for() -> None:
    async with kube() as ask, serving(_Shown(ask)) as (_, port):
        await _fill(ask, 500)
        client = await Raw.to(port)
        client.send(_get(PODS).replace(b"GET", b"HEAD") + _get(f"{PODS}/p-00001"))
        assert "200 OK" in await client.head()
        assert (await client.reply())[0] == 200
        await client.close()


class _Counted(_Shown):
    """Counts the slices of all answers, and how large the largest was."""

    made = largest = 0

    async def __call__(self, request: Request) -> AnyReply:
        reply = await super().__call__(request)
        if isinstance(reply, SlicedReply):
            reply.slices = map(self._count, reply.slices)
        return reply

    def _count(self, piece: bytes) -> bytes:
        self.made += 1
        self.largest = max(self.largest, len(piece))
        return piece


async def _lists(port: int, accept: str) -> None:
    client = await Raw.to(port)
    client.send(_get(PODS, f"Accept: {accept}"))
    assert (await client.reply())[0] == 200
    await client.close()


@pytest.mark.parametrize("accept", [JSON, TABLE])
async def test_heavy_lists_hold_nobody_up(accept: str) -> None:
    """Many list everything and one reads nothing of it: who asks for one object waits for as many
    slices as his request and his answer take turns of the loop, however many lists there are."""
    async with kube() as ask:
        await _fill(ask, 1500)
        counted = _Counted(ask)
        async with serving(counted) as (_, port), asyncio.TaskGroup() as crew:
            slow, quick = await Raw.to(port), await Raw.to(port)
            slow.send(_get(PODS))
            lists = [crew.create_task(_lists(port, accept)) for _ in range(12)]
            waited = []
            while not all(task.done() for task in lists):
                before = counted.made
                quick.send(_get(f"{PODS}/p-00001"))
                assert (await quick.reply())[0] == 200
                waited.append(counted.made - before)
            await slow.close()
            await quick.close()
        assert counted.made > 12 * 10 and len(waited) > 20
        assert max(waited) <= TURNS, waited
        assert counted.largest < 2 * SLICE_BYTES
