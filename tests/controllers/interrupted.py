"""Interruptions: a story is played again and again, and each time all controllers end after one write
more than the time before. Fresh ones that know nothing go on, and in the end all is as it would have
been."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import KINDS, Doc
from longshore.core.registry.client import Answers, Client, Feed, Listing, Operation
from longshore.machinery.controllers.run_all import ControllerConfig

from .world import Controllers, World, running

Story: TypeAlias = Callable[[World], Awaitable[None]]
# What is told of what happened, and signs of life, are not what there is.
_KINDS = tuple(one for one in KINDS.stored if one not in (kinds.EVENT, kinds.LEASE))
# Who wrote how often is another matter when somebody begins anew.
_COUNTED = ("managedFields", "resourceVersion")
# Chance and time: uids, moments, endings of names, addresses, revisions of others; in this order.
_VARYING = re.compile(
    rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
    rb'|(?<=[a-z0-9]-)[bcdfghjklmnpqrstvwxz2456789]{5}(?=")'
    rb"|10\.4\d\.\d+\.\d+"
    rb'|(?<="resourceVersion":)"\d+"'
)


@dataclass
class Mortal:
    """A Client whose user ends with the first write after so many: of a batch, those before it are
    made."""

    client: Client
    limit: float = math.inf
    written: int = 0
    died: asyncio.Event = field(default_factory=asyncio.Event)

    async def get(self, kind: kinds.Kind, namespace: str, name: str) -> Doc:
        return await self.client.get(kind, namespace, name)

    async def list(
        self, kind: kinds.Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        return await self.client.list(kind, namespace, labels=labels, fields=fields)

    async def list_and_watch(
        self, kind: kinds.Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[Listing, Feed]:
        return await self.client.list_and_watch(kind, namespace, labels=labels, fields=fields)

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        left = max(0, int(min(self.limit - self.written, len(operations))))
        self.written += len(operations)
        answers = await self.client.submit(operations[:left]) if left else []
        if left < len(operations):
            self.died.set()
            await asyncio.get_running_loop().create_future()
        return answers

    async def write(self, operation: Operation) -> Doc:
        (answer,) = await self.submit([operation])
        if isinstance(answer, ApiError):
            raise answer
        return answer


class _Manager:
    """The controllers' first life ends when a story says so; the second does not."""

    def __init__(self, others: Controllers | None) -> None:
        self.first: Mortal | None = None
        self._others = others

    async def __call__(self, controllers: Controllers, client: Client) -> None:
        controllers = self._others or controllers
        self.first = Mortal(client)
        async with asyncio.TaskGroup() as crew:
            life = crew.create_task(_run(controllers, self.first))
            await self.first.died.wait()
            life.cancel()
        await controllers(client)


async def _run(controllers: Controllers, client: Client) -> None:
    await controllers(client)


@dataclass(frozen=True)
class Outcome:
    """What there is in the end, without what chance and time decide; how many objects of each kind
    were made on the way; and how many writes the first controllers began."""

    there: Counter[str]
    made: Counter[str]
    writes: int


async def outcome(
    story: Story, writes: float = math.inf, controllers: Controllers | None = None
) -> Outcome:
    """Play a story; the controllers, all of ours or others, end after so many writes of it, and fresh
    ones go on."""
    manager = _Manager(controllers)
    async with running(ControllerConfig(), nodes=1, manager=manager) as world:
        feed = world.cache.subscribe(*_KINDS)
        await feed.next_batch()
        first = manager.first
        assert first is not None, "the world is at rest"
        first.limit, first.written = writes, 0
        await story(world)
        made = Counter(e.kind.name for e in await feed.next_batch() if e.type == "ADDED")
        feed.close()
        return Outcome(_picture(world), made, first.written)


async def replayed(story: Story, controllers: Controllers | None = None) -> Outcome:
    """What a story comes to. Asserts that an interruption before any write of it changes nothing."""
    whole = await outcome(story, controllers=controllers)
    for cut in range(whole.writes):
        found = await outcome(story, cut, controllers)
        assert found.there == whole.there, (
            f"interrupted after {cut} writes: {_unlike(found, whole)}"
        )
        assert found.made == whole.made, f"interrupted after {cut} writes"
    return whole


def _picture(world: World) -> Counter[str]:
    there = (world.cache.all(kind) for kind in _KINDS)
    return Counter(_told(doc) for docs in there for doc in docs)


def _told(doc: Doc) -> str:
    """An object, all of it but what varies."""
    metadata = {k: v for k, v in doc["metadata"].items() if k not in _COUNTED}
    text = orjson.dumps({**doc, "metadata": metadata}, option=orjson.OPT_SORT_KEYS)
    return _VARYING.sub(b"~", text).decode()


def _unlike(found: Outcome, whole: Outcome) -> str:
    more, less = found.there - whole.there, whole.there - found.there
    return "".join(f"\nthere is {one}" for one in more) + "".join(f"\nnot {one}" for one in less)
