"""What is etcd's own about the etcd store: lost answers, fences, parts of batches, a feed of changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import pytest

from longshore.base.clock import SystemClock
from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.etcd.compaction import COMPACTION_S
from longshore.core.store.etcd.members import (
    TXN,
    Answered,
    Asked,
    Members,
    Method,
    Unanswered,
    parse_address,
)
from longshore.core.store.etcd.store import PAGE, EtcdStore, Naming
from longshore.core.store.protocol import (
    Change,
    Changes,
    Claim,
    Compacted,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreTooLarge,
    Write,
)
from longshore.testing.clock import VirtualClock
from tests.core.store.etcds import Cluster
from tests.ports import free_port

Contents: TypeAlias = dict[str, tuple[bytes, int]]


async def contents(store: EtcdStore) -> tuple[Contents, int]:
    there: Contents = {}

    def take(key: str, value: bytes, revision: int) -> None:
        assert key not in there
        there[key] = value, revision

    return there, await store.open(take)


class Lossy(Members):
    """Loses the answers, or the questions, of the next few transactions."""

    lose_answers = 0
    lose_questions = 0
    full = 0
    full_after = 0
    lost: rpc.TxnRequest | None = None

    async def once(self, method: Method[Asked, Answered], request: Asked) -> Answered:
        if self.lose_questions:
            self.lose_questions -= 1
            if self.lost is None and isinstance(request, rpc.TxnRequest):
                self.lost = request
            raise Unanswered("lost on the way there")
        self.full_after -= 1
        if self.full_after == 0:
            raise StoreFull("etcd has no room")
        if self.full and not self.lose_answers:
            self.full -= 1
            raise StoreFull("etcd has no room")
        answer = await super().once(method, request)
        if self.lose_answers:
            self.lose_answers -= 1
            raise Unanswered("lost on the way back")
        return answer


@pytest.fixture
async def lossy(etcd: Cluster) -> AsyncIterator[Lossy]:
    members = Lossy(etcd.endpoints, SystemClock())
    yield members
    await members.close()


@pytest.fixture
def naming(request: pytest.FixtureRequest) -> Naming:
    return Naming(prefix=f"/{request.node.name}")


@pytest.fixture
async def store(lossy: Lossy, naming: Naming) -> EtcdStore:
    """Open, and all that it finds is known to be nothing."""
    store = EtcdStore(lossy, SystemClock(), naming)
    there, _ = await contents(store)
    assert there == {}
    return store


@pytest.mark.parametrize("losses", [1, 2, 3])
async def test_a_transaction_whose_answer_is_lost_counts_as_made_once(
    store: EtcdStore, lossy: Lossy, losses: int
) -> None:
    (before,) = await store.commit([Write("/a", b"1", 0)])
    lossy.lose_answers = losses
    (changed,) = await store.commit([Write("/a", b"2", before)])
    assert changed > before
    (deleted,) = await store.commit([Write("/a", None, changed)])
    assert deleted > changed
    feed = store.changes(before)
    assert await taken(feed, 2) == [Change("/a", b"2", changed), Change("/a", None, deleted)]


@pytest.mark.parametrize("losses", [1, 2, 3])
async def test_a_transaction_that_never_arrived_is_made_in_the_end(
    store: EtcdStore, lossy: Lossy, losses: int
) -> None:
    lossy.lose_questions = losses
    (revision,) = await store.commit([Write("/a", b"1", 0)])
    assert await contents(store) == ({"/a": (b"1", revision)}, await store.newest())


async def test_a_transaction_is_settled_even_if_there_is_no_room_for_a_while(
    store: EtcdStore, lossy: Lossy
) -> None:
    lossy.lose_answers = lossy.full = 1
    (revision,) = await store.commit([Write("/a", b"1", 0)])
    assert lossy.full == 0
    assert await contents(store) == ({"/a": (b"1", revision)}, await store.newest())


async def test_a_read_that_fails_in_the_middle_is_a_store_error(
    store: EtcdStore, lossy: Lossy
) -> None:
    await store.commit([Write(f"/p/{n}", b"v", 0) for n in range(PAGE + 1)])
    read, lossy.full_after = 0, 4

    def take(*_: object) -> None:
        nonlocal read
        read += 1

    with pytest.raises(StoreFull):
        await store.open(take)
    assert read == PAGE


async def test_a_transaction_that_was_given_up_is_void_when_it_arrives_late(
    store: EtcdStore, lossy: Lossy
) -> None:
    lossy.lose_questions = 1
    (made,) = await store.commit([Write("/a", b"1", 0)])
    await store.commit([Write("/a", None, made)])
    assert lossy.lost is not None
    late = await lossy.once(TXN, lossy.lost)  # it expects that /a is absent, which it is
    assert not late.succeeded
    there, _ = await contents(store)
    assert there == {}


async def test_who_opens_it_under_the_same_name_takes_it_over(
    store: EtcdStore, lossy: Lossy, naming: Naming
) -> None:
    (at,) = await store.commit([Write("/a", b"1", 0)])
    second = EtcdStore(lossy, SystemClock(), naming)
    there, _ = await contents(second)
    assert there == {"/a": (b"1", at)}
    with pytest.raises(StoreBusy, match=r"as 'server': this one writes no more"):
        await store.commit([Write("/b", b"late", 0)])
    lossy.lose_questions = 1
    with pytest.raises(StoreBusy):
        await store.commit([Write("/b", b"late", 0)])
    assert all(await second.commit([Write("/b", b"1", 0), Write("/a", b"2", at)]))


async def test_writers_with_names_of_their_own_write_side_by_side(
    store: EtcdStore, lossy: Lossy, naming: Naming
) -> None:
    other = EtcdStore(lossy, SystemClock(), Naming(naming.prefix, "other"))
    await contents(other)
    (first,) = await store.commit([Write("/a", b"1", 0)])
    late, own = await other.commit([Write("/a", b"2", 0), Write("/b", b"2", 0)])
    assert (late, own > first) == (0, True)
    assert all(await store.commit([Write("/b", b"3", own)]))


async def test_a_batch_larger_than_a_transaction_keeps_its_order(store: EtcdStore) -> None:
    batch = [Write(f"/k/{n}", b"%d" % n, 0) for n in range(300)]
    revisions = await store.commit(batch)
    assert revisions == sorted(set(revisions))
    again = [
        Write(w.key, b"x", r if n % 2 else 1)
        for n, (w, r) in enumerate(zip(batch, revisions, strict=True))
    ]
    second = await store.commit(again)
    assert [bool(revision) for revision in second] == [bool(n % 2) for n in range(300)]
    assert [r for r in second if r] == sorted({r for r in second if r})
    there, newest = await contents(store)
    assert {key: at for key, (_, at) in there.items()} == {
        w.key: second[n] or revisions[n] for n, w in enumerate(batch)
    }
    assert newest >= max(second)


async def test_bytes_bound_a_transaction_too(store: EtcdStore) -> None:
    revisions = await store.commit([Write(f"/big/{n}", b"b" * 400_000, 0) for n in range(8)])
    assert revisions == sorted(set(revisions))


async def test_what_etcd_refuses_for_its_size_is_a_failed_batch(store: EtcdStore) -> None:
    huge = Write("/huge", b"h" * 4_000_000, 0)
    with pytest.raises(StoreError, match=r"too large|larger than max"):
        await store.commit([huge, Write("/small", b"s", 0)])
    small, none = await store.commit([Write("/small", b"s", 0), huge])
    assert (small > 0, none) == (True, 0), "written first, and the rest left to be planned again"


async def test_the_feed_tells_every_change_once_in_the_order_of_revisions(store: EtcdStore) -> None:
    since = await store.newest()
    made: list[Change] = []
    revisions = await store.commit([Write(f"/f/{n}", b"1", 0) for n in range(200)])
    made += [Change(f"/f/{n}", b"1", at) for n, at in enumerate(revisions)]
    mixed = [Write(f"/f/{n}", None if n % 3 else b"2", revisions[n]) for n in range(200)]
    revisions = await store.commit(mixed)
    made += [Change(w.key, w.value, at) for w, at in zip(mixed, revisions, strict=True)]
    assert await taken(store.changes(since), len(made)) == made
    # From any revision, also one in the middle of a transaction.
    for at in (0, 1, 77, 200, 301):
        assert await taken(store.changes(made[at].revision), len(made) - at - 1) == made[at + 1 :]


async def test_the_feed_goes_on_with_what_happens_later(store: EtcdStore) -> None:
    feed = store.changes(await store.newest())
    for number in range(3):
        async with asyncio.TaskGroup() as group:
            ahead = group.create_task(taken(feed, 1))
            (at,) = await store.commit([Write(f"/l/{number}", b"v", 0)])
        assert ahead.result() == [Change(f"/l/{number}", b"v", at)]


async def test_history_is_forgotten_after_five_minutes_and_a_feed_says_so(
    lossy: Lossy, naming: Naming
) -> None:
    clock = VirtualClock()
    store, other = EtcdStore(lossy, clock, naming), EtcdStore(lossy, clock, naming)
    await contents(store)
    async with asyncio.TaskGroup() as crew:
        upkeep = [crew.create_task(one.run()) for one in (store, other)]
        await rest(clock)
        (first,) = await store.commit([Write("/a", b"1", 0)])
        (second,) = await store.commit([Write("/a", b"2", first)])
        await clock.advance(COMPACTION_S)
        await rest(clock)
        assert await taken(store.changes(first), 1) == [Change("/a", b"2", second)]
        quiet = await anext(store.changes(second))
        assert not quiet.made and quiet.revision > second, "time passes for quiet feeds too"
        await clock.advance(COMPACTION_S)
        await rest(clock)
        with pytest.raises(Compacted, match="is too old"):
            await taken(store.changes(first), 1)
        later = await anext(store.changes(quiet.revision))
        assert not later.made and later.revision > quiet.revision
        for one in upkeep:
            one.cancel()


async def rest(clock: VirtualClock) -> None:
    """Wait until both have done their round."""
    async with asyncio.timeout(60):
        while clock.sleeping < 2:
            await SystemClock().sleep(0.01)


async def test_two_servers_do_not_move_one_name_at_once(
    store: EtcdStore, lossy: Lossy, naming: Naming
) -> None:
    other = EtcdStore(lossy, SystemClock(), Naming(naming.prefix, "other"))
    _, since = await contents(other)
    mine, theirs = (Write(f"/{n}", b"v", 0, claims=(Claim("ip/1", since),)) for n in "ab")
    (made,) = await store.commit([mine])
    assert await other.commit([theirs, Write("/c", b"v", 0)]) == [0, Any(made)]
    knowing = Write("/b", b"v", 0, claims=(Claim("ip/1", made),))
    assert await other.commit([knowing]) == [Any(made)]


async def test_plans_made_while_ones_own_write_is_under_way_know_of_it(store: EtcdStore) -> None:
    since = await store.newest()
    for number in range(3):
        batch = [
            Write(f"/{number}/{n}", b"v", 0, claims=(Claim("quota/a", since),)) for n in range(70)
        ]
        assert all(await store.commit(batch))


async def test_another_servers_move_between_two_of_ones_own_is_not_overlooked(
    store: EtcdStore, lossy: Lossy, naming: Naming
) -> None:
    other = EtcdStore(lossy, SystemClock(), Naming(naming.prefix, "other"))
    _, since = await contents(other)
    (first,) = await store.commit([Write("/a", b"v", 0, claims=(Claim("n", since),))])
    (second,) = await other.commit([Write("/b", b"v", 0, claims=(Claim("n", first),))])
    assert await store.commit([Write("/c", b"v", 0, claims=(Claim("n", since),))]) == [0]
    assert await store.commit([Write("/c", b"v", 0, claims=(Claim("n", second),))]) == [Any(second)]
    assert await store.commit([Write("/d", b"v", 0, claims=(Claim("n", first),))]) == [0]


async def test_a_claim_that_only_looks_fails_for_ones_own_writes_too(store: EtcdStore) -> None:
    (made,) = await store.commit([Write("/ns/a", b"1", 0)])

    def look(key: str, since: int) -> Write:
        return Write(key, b"v", 0, claims=(Claim("/ns/a", since, moves=False),))

    (first, second) = await store.commit([look("/x", made), look("/y", made)])
    assert first and second, "whoever only looks moves nothing"
    (marked,) = await store.commit([Write("/ns/a", b"2", made)])
    assert await store.commit([look("/z", second), look("/w", marked)]) == [0, Any(marked)]


class Any(int):
    """Any revision after this one."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other > int(self)

    __hash__ = int.__hash__


async def test_claims_have_room_in_large_batches_and_too_many_of_one_write_are_refused(
    store: EtcdStore,
) -> None:
    since = await store.newest()

    def claiming(key: str, count: int) -> Write:
        return Write(key, b"v", 0, claims=tuple(Claim(f"c{key}/{n}", since) for n in range(count)))

    assert all(await store.commit([claiming(f"/{n}", n) for n in range(100)]))
    with pytest.raises(StoreTooLarge, match="too many operations"):
        await store.commit([claiming("/many", 200)])


async def test_another_format_is_refused(store: EtcdStore, lossy: Lossy, naming: Naming) -> None:
    request = rpc.TxnRequest()
    put = rpc.PutRequest(key=f"{naming.prefix}/format".encode(), value=b"2")
    request.success.add().request_put.MergeFrom(put)
    await lossy.ask(TXN, request)
    with pytest.raises(StoreError, match="has format '2', this Longshore reads 1"):
        await contents(store)


async def test_more_objects_than_a_page_are_read(store: EtcdStore) -> None:
    writes = [Write(f"/p/{n}", b"%d" % n, 0) for n in range(2500)]
    revisions = await store.commit(writes)
    there, _ = await contents(store)
    assert there == {w.key: (w.value, at) for w, at in zip(writes, revisions, strict=True)}


async def test_no_answer_from_anybody_is_an_error_that_names_one() -> None:
    port = free_port()
    members = Members([f"127.0.0.1:{port}"], SystemClock(), patience_s=0.2)
    with pytest.raises(StoreError, match=rf"no member of etcd answers.*127.0.0.1:{port}"):
        await contents(EtcdStore(members, SystemClock()))
    await members.close()


@pytest.mark.parametrize(
    ("address", "endpoints"),
    [
        ("etcd://a", ["a:2379"]),
        ("etcd://a,b:1,10.0.0.1", ["a:2379", "b:1", "10.0.0.1:2379"]),
        ("etcd://[::1],[::2]:5", ["[::1]:2379", "[::2]:5"]),
    ],
)
def test_addresses(address: str, endpoints: list[str]) -> None:
    assert parse_address(address) == endpoints


@pytest.mark.parametrize(
    "address", ["a:2379", "http://a", "etcd://", "etcd://a,,b", "etcd://u@h", "etcd://h/x"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ValueError, match="want etcd://HOST"):
        parse_address(address)


async def taken(feed: AsyncIterator[Changes], count: int) -> list[Change]:
    """The first changes of a feed, at least so many, as told until there are."""
    made: list[Change] = []
    async with asyncio.timeout(60):
        while len(made) < count:
            told = await anext(feed)
            assert not told.made or told.revision >= told.made[-1].revision
            made += told.made
    return made
