"""The Client of loops that live in the server: straight into the registry, as one user."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import overload

import orjson

from longshore.base.users import User
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.core.registry.client import Answers, Change, Feed, Listing, Operation, Update
from longshore.core.registry.fencing import Fence
from longshore.core.registry.questions import Undecided, settled
from longshore.core.registry.reads import ListOptions
from longshore.core.registry.registry import Registry
from longshore.core.watch.feeds import CacheFeed
from longshore.core.watch.stored import Stored


class InProcess:
    """Client, without a wire between. Documents that it returns are the cache's own: read-only.
    What it writes behind a fence comes to nothing once the fence's term is over."""

    def __init__(self, registry: Registry, user: User, fence: Fence | None = None) -> None:
        self._registry = registry
        self._user = user
        self._fence = fence

    async def get(self, kind: Kind, namespace: str, name: str) -> Doc:
        await self._registry.confirm()
        return self._registry.get(self._user, Ref(kind, namespace, name)).doc

    async def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        await self._registry.confirm()
        return self._list(kind, namespace, labels, fields)

    def _list(self, kind: Kind, namespace: str, labels: str, fields: str) -> Listing:
        options = ListOptions(labels=labels, fields=fields)
        page = self._registry.list(self._user, kind, namespace, options)
        return Listing(_Documents(page.items), page.revision)

    async def list_and_watch(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[Listing, Feed]:
        # Nothing runs between the two calls: snapshot and feed are at one revision.
        listing = self._list(kind, namespace, labels, fields)
        options = ListOptions(labels=labels, fields=fields, revision=str(listing.revision))
        since_start = listing.revision == 0
        feed = self._registry.watch(self._user, kind, namespace, options, initial=since_start)
        return listing, InProcessFeed(feed)

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        owned = [_owned(operation) for operation in operations]
        answers = await self._registry.submit(self._user, owned, self._fence)
        for index, answer in enumerate(answers):
            if isinstance(answer, Undecided):
                answers[index] = await self._settled(operations[index])
        return answers

    async def write(self, operation: Operation) -> Doc:
        try:
            return await self._perform(operation)
        except Undecided as question:
            return await settled(question, partial(self._perform, operation))

    async def _perform(self, operation: Operation) -> Doc:
        return await self._registry.perform(self._user, _owned(operation), self._fence)

    async def _settled(self, operation: Operation) -> Doc | ApiError:
        """What was open may be known by now: of many operations the first one asks for all."""
        try:
            return await self.write(operation)
        except ApiError as error:
            return error


class _Documents(Sequence[Doc]):
    """Documents that are decoded while they are looked at: of many there is one at a time."""

    __slots__ = ("_objects",)

    def __init__(self, objects: Sequence[Stored]) -> None:
        self._objects = objects

    def __len__(self) -> int:
        return len(self._objects)

    @overload
    def __getitem__(self, index: int) -> Doc: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Doc]: ...
    def __getitem__(self, index: int | slice) -> Doc | Sequence[Doc]:
        if isinstance(index, slice):
            return _Documents(self._objects[index])
        return self._objects[index].glance()


class InProcessFeed:
    """A cache feed, in the Client protocol's terms."""

    def __init__(self, feed: CacheFeed) -> None:
        self._feed = feed

    async def next_batch(self) -> list[Change]:
        return [Change(frame.type, frame.doc) for frame in await self._feed.next_batch()]

    def close(self) -> None:
        self._feed.close()


def _owned(operation: Operation) -> Operation:
    """An update with a document of its own: what loops build often shares parts with the cache, and
    the registry completes documents in place. A re-decode costs 4 us. Of new objects and of statuses it
    makes its own."""
    if isinstance(operation, Update) and operation.subresource != "status":
        doc = orjson.loads(orjson.dumps(operation.doc))
        return Update(operation.kind, doc, operation.subresource)
    return operation
