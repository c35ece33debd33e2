"""etcd's watch as a stream of our revisions: no gap, no double, across members that fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc.aio

from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.etcd.members import Members, Unanswered
from longshore.core.store.etcd.transactions import Layout, last_of, ours, theirs, unpacked
from longshore.core.store.protocol import StoreError


class Compacted(StoreError):
    """History does not reach back to the revision that was asked for: read everything anew."""


@dataclass(frozen=True, slots=True)
class Change:
    """A key got a value, or was deleted if value is None."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed, oldest first, and the revision up to which that is all: progress, if empty."""

    made: list[Change]
    revision: int


async def follow(members: Members, layout: Layout, since: int) -> AsyncIterator[Changes]:
    """See EtcdStore.changes. A stream that breaks is resumed at the next member."""
    while True:
        try:
            async for changes in _stream(members, layout, since):
                yield changes
                since = changes.revision
        except Unanswered:
            await members.pause()


async def _stream(members: Members, layout: Layout, since: int) -> AsyncIterator[Changes]:
    """One member's stream, until it breaks: then this raises Unanswered."""
    call = members.watch()
    try:
        await call.write(_request(layout, since))
        async for response in call:
            _check(response, since)
            made = [one for one in _changes(response, layout) if one.revision > since]
            revision = last_of(response.header.revision)
            if (made or not response.events) and not response.created and revision > since:
                yield Changes(made, made[-1].revision if made else revision)
    except grpc.aio.AioRpcError as error:
        raise members.failed(error) from error
    finally:
        call.cancel()
    raise Unanswered("etcd ended a watch")


def _request(layout: Layout, since: int) -> rpc.WatchRequest:
    start, end = layout.span
    create = rpc.WatchCreateRequest(
        key=start, range_end=end, start_revision=max(theirs(since), 1), progress_notify=True
    )
    return rpc.WatchRequest(create_request=create)


def _check(response: rpc.WatchResponse, since: int) -> None:
    if response.compact_revision:
        raise Compacted(
            f"etcd's history begins at {last_of(response.compact_revision)}, {since} is too old"
        )
    if response.canceled:
        raise Unanswered(f"etcd cancelled a watch: {response.cancel_reason}")


def _changes(response: rpc.WatchResponse, layout: Layout) -> list[Change]:
    """etcd tells a transaction's events in its order and in one response: a deletion, which has no
    value to keep its place in, has the place after the event before it."""
    made: list[Change] = []
    skip, at, place = len(layout.objects), 0, -1
    for event in response.events:
        pair = event.kv
        at, place = (at, place + 1) if pair.mod_revision == at else (pair.mod_revision, 0)
        value, revision = None, ours(at, place)
        if event.type == rpc.Event.PUT:
            value, revision = unpacked(pair)
        made.append(Change(pair.key[skip:].decode(), value, revision))
    return made
