"""Three real members of etcd that are killed, stopped and started again while somebody writes, and
members that only speak TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.pki.authority import Authority
from longshore.core.store.etcd.members import Members, Tls
from longshore.core.store.etcd.store import EtcdStore
from longshore.core.store.protocol import Change, StoreError, StoreFull, Write
from tests.core.store.etcds import Cluster, Member, needs_etcd, running

pytestmark = [pytest.mark.slow, needs_etcd]

# An election by default takes up to two seconds; the machine may be busy with other things.
LONGEST_S = 15.0


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path, 3) as cluster:
        yield cluster


@dataclass
class History:
    """What a writer was told, and what somebody who follows the changes has heard."""

    told: list[Change] = field(default_factory=list)
    heard: list[Change] = field(default_factory=list)
    longest_s: float = 0.0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, store: EtcdStore) -> None:
        """Batch after batch, each on what the one before left, until cancelled."""
        clock, at, count = SystemClock(), dict[str, int](), 0
        while True:
            writes = []
            for key in (f"/k/{(count + n) % 40}" for n in range(8)):
                count += 1
                value = None if count % 11 == 0 and key in at else b"%d" % count
                writes.append(Write(key, value, at.get(key, 0)))
            began = clock.monotonic()
            revisions = await store.commit(writes)
            self.longest_s = max(self.longest_s, clock.monotonic() - began)
            for write, revision in zip(writes, revisions, strict=True):
                assert revision, f"{write} was stale: an earlier one was made and not told"
                self.told.append(Change(write.key, write.value, revision))
                at[write.key] = revision
                if write.value is None:
                    del at[write.key]
            self.news.set()

    async def follow(self, store: EtcdStore, since: int) -> None:
        async for changes in store.changes(since):
            self.heard += changes.made
            self.news.set()

    async def more(self, count: int, within_s: float = 60) -> None:
        """Wait for so many more acknowledged writes, and for all of them to be heard of."""
        goal = len(self.told) + count
        async with asyncio.timeout(within_s):
            while min(len(self.told), len(self.heard)) < goal:
                self.news.clear()
                await self.news.wait()

    def check(self) -> None:
        told, heard = self.told, self.heard
        assert heard[: len(told)] == told[: len(heard)]


@asynccontextmanager
async def history(cluster: Cluster) -> AsyncIterator[History]:
    clock = SystemClock()
    members, others = Members(cluster.endpoints, clock), Members(cluster.endpoints[::-1], clock)
    store, follower = EtcdStore(members, clock), EtcdStore(others, clock)
    history = History()
    since = await store.open(lambda *_: None)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(history.write(store)),
            group.create_task(history.follow(follower, since)),
        ]
        yield history
        for task in tasks:
            task.cancel()
    await members.close()
    await others.close()
    history.check()
    await check_contents(cluster, history)


async def check_contents(cluster: Cluster, history: History) -> None:
    """Everything that was acknowledged is there; a last batch without an answer may be too."""
    members = Members(cluster.endpoints, SystemClock())
    there: dict[str, tuple[bytes, int]] = {}
    await EtcdStore(members, SystemClock()).open(
        lambda key, value, at: there.__setitem__(key, (value, at))
    )
    await members.close()
    last = history.told[-1].revision
    for change in {change.key: change for change in history.told}.values():
        value, at = there.get(change.key, (None, last + 1))
        if at <= last:
            assert (value, at) == (change.value, change.revision)


async def test_nothing_acknowledged_is_lost_when_members_are_killed(three: Cluster) -> None:
    async with history(three) as seen:
        await seen.more(200)
        for member in (*three.members, three.members[0]):
            member.kill()
            await seen.more(200)
            three.start(member)
            await whole_again(member)
    assert seen.longest_s < LONGEST_S
    assert len(seen.told) >= 1000


async def test_a_member_that_stops_answering_is_left_for_another(three: Cluster) -> None:
    async with history(three) as seen:
        await seen.more(100)
        for member in three.members:
            member.pause()
            await seen.more(100)
            member.resume()
    assert seen.longest_s < LONGEST_S


async def test_without_a_majority_writers_wait_and_then_go_on(three: Cluster) -> None:
    async with history(three) as seen:
        await seen.more(100)
        for member in three.members[:2]:
            member.kill()
        with pytest.raises(
            TimeoutError
        ):  # the two batches that may have been on their way, and one
            await seen.more(17, within_s=1)
        for member in three.members[:2]:
            three.start(member)
        await seen.more(100)


async def whole_again(member: Member) -> None:
    """Return when a member answers again, so that the next one may go."""
    alone = Members([member.endpoint], SystemClock(), patience_s=30)
    await EtcdStore(alone, SystemClock()).newest()
    await alone.close()


async def test_an_etcd_without_room_refuses_batches_whole_and_tells_what_is_there(
    tmp_path: Path,
) -> None:
    quota = ["--quota-backend-bytes", str(4 << 20)]
    with running(tmp_path, 1, quota) as cluster:
        members = Members(cluster.endpoints, SystemClock())
        store = EtcdStore(members, SystemClock())
        since = await store.open(lambda *_: None)
        told: list[Change] = []
        with pytest.raises(StoreFull, match=r"etcd has no room: .*space exceeded"):
            await fill(store, told)
        heard: list[Change] = []
        async for changes in store.changes(since):
            heard += changes.made
            if len(heard) >= len(told):
                break
        assert heard == told
        assert await store.newest() >= told[-1].revision
        await members.close()


async def fill(store: EtcdStore, told: list[Change]) -> None:
    for number in range(100):
        value = b"%d" % number * 50_000
        (revision,) = await store.commit([Write(f"/k/{number}", value, 0)])
        told.append(Change(f"/k/{number}", value, revision))


async def test_tls_with_certificates_of_both_sides(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    authority = Authority(tmp_path / "pki", SystemClock())
    server = authority.server("etcd", ["127.0.0.1"])
    client = authority.client("writer", "longshore", [])
    ca = tmp_path / "pki" / "ca.crt"
    arguments = ["--cert-file", str(server.certificate), "--key-file", str(server.key)]
    arguments += ["--client-cert-auth", "--trusted-ca-file", str(ca)]
    with running(tmp_path, 1, arguments, "https") as cluster:
        tls = Tls(ca, client.certificate, client.key)
        members = Members(cluster.endpoints, SystemClock(), tls)
        store = EtcdStore(members, SystemClock())
        await store.open(lambda *_: None)
        assert all(await store.commit([Write("/a", b"1", 0)]))
        await members.close()
        for wrong in (None, Tls(ca, server.certificate, client.key)):
            await refused(cluster, wrong, "no member of etcd answers")
        missing = Tls(ca, tmp_path / "none.crt", client.key)
        await refused(cluster, missing, r"TLS: .*No such file")


async def refused(cluster: Cluster, tls: Tls | None, why: str) -> None:
    members = Members(cluster.endpoints, SystemClock(), tls, patience_s=0.2)
    store = EtcdStore(members, SystemClock())
    try:
        with pytest.raises(StoreError, match=why):
            await store.open(lambda *_: None)
    finally:
        await members.close()
