"""Other contents for an etcd store, put in place all at once.

They are written aside, as a generation of their own, and become what servers see by one transaction,
which also takes away the marks of those who write to the generation of before: a server that still
runs hears of that in its feed, and ends. What was there stays until the next restore, as long as etcd
has room for both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from longshore.base.clock import Clock
from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.etcd.members import RANGE, TXN, Members
from longshore.core.store.etcd.store import EtcdStore, Naming
from longshore.core.store.etcd.transactions import FORMAT, Layout, guarded
from longshore.core.store.protocol import StoreBusy, StoreNewer, Write

_WRITER = "restore"
Add = Callable[[Sequence[Write]], Awaitable[Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Generation:
    """One that is begun: after is to come in place of before, which was found at etcd's revision
    format_at (0: etcd has nothing of ours)."""

    before: Layout
    after: Layout
    format_at: int


async def begin(
    members: Members, clock: Clock, above: int, prefix: str = Naming().prefix
) -> tuple[Generation, Add]:
    """Begin a generation whose revisions are above that one, and how to write to it. What a restore
    that was cut off has left of it goes. Raises StoreError."""
    before, format_at = await _found(members, prefix)
    after = Layout(prefix, before.generation + 1, above)
    request = rpc.TxnRequest()
    _delete(request, after.everything)
    await members.ask(TXN, request)
    store = EtcdStore(members, clock, Naming(prefix, _WRITER))
    await store.begin(after)
    return Generation(before, after, format_at), store.commit


async def put_in_place(members: Members, generation: Generation) -> None:
    """Raises StoreError: then nothing has changed, or (StoreSilent) nobody can tell."""
    before, after = generation.before, generation.after
    request = guarded(before.format, generation.format_at, after.described)
    _delete(request, before.writers)
    if before.generation:
        _delete(request, Layout(before.prefix, before.generation - 1).everything)
    answer = await members.ask(TXN, request)
    if answer.succeeded:
        return
    there = answer.responses[0].response_range.kvs
    if not there or there[0].value != after.described:  # asked twice, it says that it is done
        raise StoreBusy(f"somebody else restored {before.prefix} in etcd meanwhile")


async def _found(members: Members, prefix: str) -> tuple[Layout, int]:
    answer = await members.ask(RANGE, rpc.RangeRequest(key=Layout(prefix).format))
    if not answer.kvs:
        return Layout(prefix), 0
    pair = answer.kvs[0]
    try:
        return Layout.read(prefix, pair.value), pair.mod_revision
    except ValueError:
        raise StoreNewer(
            f"what is in etcd under {prefix} has format {pair.value.decode()!r}, this Longshore "
            f"writes {FORMAT.decode()}: use the version that wrote it"
        ) from None


def _delete(request: rpc.TxnRequest, span: tuple[bytes, bytes]) -> None:
    operation = request.success.add().request_delete_range
    operation.key, operation.range_end = span
