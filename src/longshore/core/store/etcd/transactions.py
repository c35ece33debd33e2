"""How a batch of writes becomes transactions of etcd, and revisions of etcd become ours. Pure.

All writes of one transaction of etcd share its revision. Ours come one to a write, so a revision
here is etcd's times 1024 plus the write's place in its transaction. The place is kept in front of
the value, two bytes, so that whoever reads the key knows it; a deletion's place is told by the
events around it (changes.py). Revisions therefore grow in one order for all servers, and leave
etcd's own recognisable, which compaction and watches need. What that buys is one call, one round of Raft
and one fsync for a hundred writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.protocol import Write

PLACE_BITS = 10
PLACES = 1 << PLACE_BITS
_PLACE_BYTES = 2
# etcd's --max-txn-ops and --max-request-bytes as they stand by default, the latter less what keys
# and framing take.
DEFAULT_OPS, REQUEST_BYTES = 128, 1_250_000
_KEY_COST = 64


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in etcd: objects, the mark of each writer, and the format of it all."""

    prefix: str

    @property
    def format(self) -> bytes:
        return f"{self.prefix}/format".encode()

    @property
    def objects(self) -> bytes:
        """What stands before each object's own key, which begins with a slash."""
        return f"{self.prefix}/objects".encode()

    @property
    def span(self) -> tuple[bytes, bytes]:
        """The first key that objects may have, and the first one behind them."""
        return self.objects + b"/", self.objects + b"0"

    def mark(self, writer: str) -> bytes:
        return f"{self.prefix}/writers/{writer}".encode()


def ours(revision: int, place: int) -> int:
    """Our revision of the write at a place (from 0) of etcd's transaction at a revision."""
    return revision << PLACE_BITS | place


def last_of(revision: int) -> int:
    """The newest revision of ours that etcd's may stand for."""
    return ours(revision, PLACES - 1)


def theirs(revision: int) -> int:
    """etcd's revision of one of ours."""
    return revision >> PLACE_BITS


def expected(revision: int) -> int:
    """etcd's revision that a key is expected to be at. What is older than etcd itself (of another
    store, perhaps) becomes 1, at which etcd is empty and no key can be.

    The place goes uncompared: it has to be 0 or a revision that this very key has had.
    """
    return (theirs(revision) or 1) if revision else 0


def unpacked(pair: rpc.KeyValue) -> tuple[bytes, int]:
    """The value of an object's key, and its revision."""
    place = int.from_bytes(pair.value[:_PLACE_BYTES], "big")
    return pair.value[_PLACE_BYTES:], ours(pair.mod_revision, place)


def chunks(writes: Sequence[Write], ops: int) -> Iterator[list[int]]:
    """The numbers of the writes, in order, as transactions that etcd takes: no more operations
    than ops, the writer's mark and all guards included, and no more bytes than a request may have
    (a write that alone has more is left for etcd to refuse)."""
    guards = len({write.guard for write in writes if write.guard is not None})
    most, chunk, size = min(ops - 1 - guards, PLACES), list[int](), 0
    for number, write in enumerate(writes):
        cost = len(write.value or b"") + 2 * len(write.key) + _KEY_COST
        if chunk and (len(chunk) == most or size + cost > REQUEST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(number)
        size += cost
    if chunk:
        yield chunk


def guarded(mark: bytes, link: int, said: bytes) -> rpc.TxnRequest:
    """A transaction that holds only if the mark is at etcd's revision link still, and then leaves
    said there; else it reads the mark."""
    request = rpc.TxnRequest()
    _expect(request, mark, link)
    request.success.add().request_put.MergeFrom(rpc.PutRequest(key=mark, value=said))
    request.failure.add().request_range.key = mark
    return request


def add_writes(request: rpc.TxnRequest, objects: bytes, writes: Sequence[Write]) -> None:
    """Add writes to a transaction, and what each expects to what the transaction expects."""
    for guard in {write.guard for write in writes if write.guard is not None}:
        _expect(request, objects + guard.key.encode(), expected(guard.revision))
    for place, write in enumerate(writes):
        key = objects + write.key.encode()
        _expect(request, key, expected(write.expect))
        operation = request.success.add()
        if write.value is None:
            operation.request_delete_range.key = key
        else:
            put = operation.request_put
            put.key = key
            put.value = place.to_bytes(_PLACE_BYTES, "big") + write.value


def _expect(request: rpc.TxnRequest, key: bytes, revision: int) -> None:
    compare = request.compare.add()
    compare.target = rpc.Compare.MOD
    compare.key = key
    compare.mod_revision = revision


def reading(keys: Sequence[bytes]) -> rpc.TxnRequest:
    """A transaction that tells of each key where it is, without its value."""
    request = rpc.TxnRequest()
    for key in keys:
        asked = request.success.add().request_range
        asked.key = key
        asked.keys_only = True
    return request


def found(response: rpc.TxnResponse) -> list[int]:
    """What reading() has found: etcd's revision of each key, 0 where there is none."""
    ranges = [answer.response_range.kvs for answer in response.responses]
    return [kvs[0].mod_revision if kvs else 0 for kvs in ranges]


def stands(write: Write, at: Mapping[str, int]) -> bool:
    """Whether a write finds what it expects, given etcd's revision of its key and its guard's."""
    guard = write.guard
    if guard is not None and at[guard.key] != expected(guard.revision):
        return False
    return at[write.key] == expected(write.expect)
