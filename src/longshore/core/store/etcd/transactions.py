"""How a batch of writes becomes transactions of etcd, and revisions of etcd become ours. Pure.

All writes of one transaction of etcd share its revision. Ours come one to a write, so a revision
here is etcd's times 1024 plus the write's place in its transaction. The place is kept in front of
the value, two bytes, so that whoever reads the key knows it; a deletion's place is told by the
events around it (changes.py). Revisions therefore grow in one order for all servers, and leave
etcd's own recognisable, which compaction and watches need. What that buys is one call, one round of Raft
and one fsync for a hundred writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.protocol import Write

FORMAT = b"1"
PLACE_BITS = 10
PLACES = 1 << PLACE_BITS
_PLACE_BYTES = 2
# etcd's --max-txn-ops and --max-request-bytes as they stand by default, the latter less what keys
# and framing take.
DEFAULT_OPS, REQUEST_BYTES = 128, 1_250_000
_KEY_COST = 64
_NOTHING = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in etcd: objects, claims, the mark of each writer, and the format of it all.

    A restore makes a generation of its own, with a base that its revisions begin above.
    """

    prefix: str
    generation: int = 0
    base: int = 0

    @classmethod
    def read(cls, prefix: str, format_: bytes) -> Layout:
        """Of what the format says: a number, and those of the generation and the base behind it if
        there ever was a restore. Raises ValueError for another format."""
        number, *rest = format_.split(b" ")
        if number != FORMAT or len(rest) not in (0, 2):
            raise ValueError(format_)
        return cls(prefix, *map(int, rest))

    @property
    def described(self) -> bytes:
        """What read() reads."""
        return FORMAT if not self.generation else b"%b %d %d" % (FORMAT, self.generation, self.base)

    @property
    def format(self) -> bytes:
        return f"{self.prefix}/format".encode()

    @property
    def _root(self) -> str:
        return f"{self.prefix}/{self.generation}" if self.generation else self.prefix

    @property
    def objects(self) -> bytes:
        """What stands before each object's own key, which begins with a slash."""
        return f"{self._root}/objects".encode()

    @property
    def span(self) -> tuple[bytes, bytes]:
        """The first key that objects may have, and the first one behind them."""
        return self.objects + b"/", self.objects + b"0"

    @property
    def writers(self) -> tuple[bytes, bytes]:
        """As span, of the marks."""
        return f"{self._root}/writers/".encode(), f"{self._root}/writers0".encode()

    @property
    def swept(self) -> bytes:
        """The key that is moved by who forgets history."""
        return f"{self._root}/swept".encode()

    @property
    def watched(self) -> tuple[bytes, bytes]:
        """As span: of the objects, and of what is moved whenever one of them is, or time passes."""
        return self.span[0], self.writers[1]

    @property
    def everything(self) -> tuple[bytes, bytes]:
        """As span: all of this generation, but for the format."""
        return f"{self._root}/held/".encode(), self.writers[1]

    def mark(self, writer: str) -> bytes:
        return self.writers[0] + writer.encode()

    def claim(self, name: str) -> bytes:
        """The key of what a claim, or a guard, is about."""
        if name.startswith("/"):
            return self.objects + name.encode()
        return f"{self._root}/held/{name}".encode()

    def ours(self, revision: int, place: int) -> int:
        """Our revision of the write at a place (from 0) of etcd's transaction at a revision."""
        return self.base + (revision << PLACE_BITS | place)

    def last_of(self, revision: int) -> int:
        """The newest revision of ours that etcd's may stand for."""
        return self.ours(revision, PLACES - 1)

    def theirs(self, revision: int) -> int:
        """etcd's revision of one of ours; below 1 if it is of before a restore."""
        return (revision - self.base) >> PLACE_BITS

    def expected(self, revision: int) -> int:
        """etcd's revision that a key is expected to be at. What is older than etcd itself (of
        another store, perhaps) becomes 1, at which etcd is empty and no key can be.

        The place goes uncompared: it has to be 0 or a revision that this very key has had.
        """
        return max(self.theirs(revision), 1) if revision else 0

    def unpacked(self, pair: rpc.KeyValue) -> tuple[bytes, int]:
        """The value of an object's key, and its revision."""
        place = int.from_bytes(pair.value[:_PLACE_BYTES], "big")
        return pair.value[_PLACE_BYTES:], self.ours(pair.mod_revision, place)


def chunks(writes: Sequence[Write], ops: int) -> Iterator[list[int]]:
    """The numbers of the writes, in order, as transactions that etcd takes: no more operations
    than ops, the writer's mark, guards and claims included, and no more bytes than a request may have
    (a write that alone has more is left for etcd to refuse)."""
    most, chunk, size, names = min(ops - 1, PLACES), list[int](), 0, frozenset[str]()
    for number, write in enumerate(writes):
        cost = len(write.value or b"") + 2 * len(write.key) + _KEY_COST
        own = _besides(write)
        more = names | own if own else names
        if chunk and (len(chunk) + 1 + len(more) > most or size + cost > REQUEST_BYTES):
            yield chunk
            chunk, size, more = [], 0, own
        chunk.append(number)
        size, names = size + cost, more
    if chunk:
        yield chunk


def _besides(write: Write) -> frozenset[str]:
    """The names that a write rests on besides its own key."""
    if write.guard is None and not write.claims:
        return _NOTHING
    guard = () if write.guard is None else (write.guard.key,)
    return frozenset((*guard, *(claim.name for claim in write.claims)))


def guarded(mark: bytes, link: int, said: bytes) -> rpc.TxnRequest:
    """A transaction that holds only if the mark is at etcd's revision link still, and then leaves
    said there; else it reads the mark."""
    request = rpc.TxnRequest()
    _expect(request, mark, link)
    request.success.add().request_put.MergeFrom(rpc.PutRequest(key=mark, value=said))
    request.failure.add().request_range.key = mark
    return request


def add_writes(request: rpc.TxnRequest, layout: Layout, writes: Sequence[Write]) -> None:
    """Add writes to a transaction, and what each expects to what the transaction expects."""
    for guard in {write.guard for write in writes if write.guard is not None}:
        _expect(request, layout.claim(guard.key), layout.expected(guard.revision))
    for place, write in enumerate(writes):
        key = layout.objects + write.key.encode()
        _expect(request, key, layout.expected(write.expect))
        operation = request.success.add()
        if write.value is None:
            operation.request_delete_range.key = key
        else:
            put = operation.request_put
            put.key = key
            put.value = place.to_bytes(_PLACE_BYTES, "big") + write.value


def add_claims(
    request: rpc.TxnRequest, claims: Mapping[bytes, int], moved: Iterable[bytes]
) -> None:
    """Let a transaction hold only if the keys of claims were not moved after etcd's revisions given;
    and then move some."""
    for key, since in claims.items():
        compare = request.compare.add()
        compare.result = rpc.Compare.LESS
        compare.target = rpc.Compare.MOD
        compare.key = key
        compare.mod_revision = since + 1
    for key in moved:
        request.success.add().request_put.key = key


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


def stands(write: Write, layout: Layout, at: Mapping[bytes, int]) -> bool:
    """Whether a write finds what it expects, given where its key and its guard's are in etcd."""
    guard = write.guard
    if guard is not None and at[layout.claim(guard.key)] != layout.expected(guard.revision):
        return False
    return at[layout.claim(write.key)] == layout.expected(write.expect)
