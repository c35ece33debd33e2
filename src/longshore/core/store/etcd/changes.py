"""etcd's watch as a stream of our revisions: no gap, no double, across members that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc.aio

from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.etcd.members import ANSWER_S, Members, Unanswered, Watching
from longshore.core.store.etcd.transactions import Layout
from longshore.core.store.protocol import Change, Changes, Compacted, StoreBusy

# After how long without a word a member is asked whether it is there: with ANSWER_S, how late
# changes may be heard of when a member stops without closing its connections.
QUIET_S = 2.0
_SPEAK = rpc.WatchRequest(progress_request=rpc.WatchProgressRequest())
_ASKED_FOR = -1  # the watch_id of its answer


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
        while True:
            response = await _next(call)
            _check(response, layout, since)
            reached = _reached(response, layout)
            if reached > since:
                yield Changes(_changes(response, layout, since), reached)
                since = reached
    except grpc.aio.AioRpcError as error:
        raise members.failed(error) from error
    except TimeoutError as error:
        raise members.silent() from error
    finally:
        call.cancel()


async def _next(call: Watching) -> rpc.WatchResponse:
    """The next response. A member that is silent for long is asked to say something, since one that
    is stopped, or cut off, keeps its connections: it raises TimeoutError then."""
    reading = asyncio.ensure_future(call.read())  # ends with the call, which its owner cancels
    if not await _within(reading, QUIET_S):
        await asyncio.wait_for(call.write(_SPEAK), ANSWER_S)
        if not await _within(reading, ANSWER_S):
            raise TimeoutError
    response = reading.result()
    if not isinstance(response, rpc.WatchResponse):
        raise Unanswered("etcd ended a watch")
    return response


async def _within(reading: asyncio.Future[object], seconds: float) -> bool:
    done, _ = await asyncio.wait({reading}, timeout=seconds)
    return bool(done)


def _reached(response: rpc.WatchResponse, layout: Layout) -> int:
    """The revision up to which all was told with a response: 0 if it does not say. All events of one
    revision come together. An answer to _SPEAK does not say: before 3.4.25 and 3.5.8, etcd may be ahead in
    it of events that are still to come."""
    if response.events:
        return layout.last_of(response.events[-1].kv.mod_revision)
    if response.created or response.watch_id == _ASKED_FOR:
        return 0
    return layout.last_of(response.header.revision)


def _request(layout: Layout, since: int) -> rpc.WatchRequest:
    start, end = layout.watched
    create = rpc.WatchCreateRequest(
        key=start, range_end=end, start_revision=max(layout.theirs(since), 1), progress_notify=True
    )
    return rpc.WatchRequest(create_request=create)


def _check(response: rpc.WatchResponse, layout: Layout, since: int) -> None:
    if response.compact_revision:
        raise Compacted(
            f"etcd's history begins at {layout.last_of(response.compact_revision)}, {since} is too old"
        )
    if response.canceled:
        raise Unanswered(f"etcd cancelled a watch: {response.cancel_reason}")


def _changes(response: rpc.WatchResponse, layout: Layout, since: int) -> list[Change]:
    """etcd tells a transaction's events in its order and in one response: a deletion, which has no
    value to keep its place in, has the place after the event before it. The first one of each is
    that of the writer's mark, by which a feed hears of what nobody is told of, too."""
    made: list[Change] = []
    skip, last, at, place = len(layout.objects), layout.span[1], 0, -1
    for event in response.events:
        pair = event.kv
        if pair.key >= last:
            _check_mark(event, layout)
            continue
        at, place = (at, place + 1) if pair.mod_revision == at else (pair.mod_revision, 0)
        value, revision = None, layout.ours(at, place)
        if event.type == rpc.Event.PUT:
            value, revision = layout.unpacked(pair)
        if revision > since:
            made.append(Change(pair.key[skip:].decode(), value, revision))
    return made


def _check_mark(event: rpc.Event, layout: Layout) -> None:
    if event.type != rpc.Event.PUT:
        raise StoreBusy(
            f"what is in etcd under {layout.prefix} was restored: start again to serve it"
        )
