"""Two registries on three members of etcd that are killed and stopped: what was acknowledged is there,
both tell their watchers the same story, and a quota holds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, Forbidden, Timeout, Unavailable
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.registry.client import DeleteOptions
from longshore.core.watch.feeds import CacheFeed
from tests.core.registry.servers import ADMIN, Server, running
from tests.core.store import etcds
from tests.core.store.etcds import Cluster, needs_etcd

pytestmark = [pytest.mark.slow, needs_etcd]

LIMIT = 25
FAULTS = 8


class Story:
    """What a server's watchers hear of ConfigMaps."""

    def __init__(self, server: Server) -> None:
        self._feed: CacheFeed = server.registry.cache.subscribe(kinds.CONFIG_MAP)
        self.heard: list[tuple[int, str, str]] = []

    async def follow(self) -> None:
        while True:
            for frame in await self._feed.next_batch():
                self.heard.append((frame.stored.revision, frame.type, frame.stored.name))

    def most_at_once(self) -> int:
        there, most = set[str](), 0
        for _, type_, name in self.heard:
            (there.discard if type_ == "DELETED" else there.add)(name)
            most = max(most, len(there))
        return most


class Writer:
    """Makes, changes and deletes, and keeps what was acknowledged."""

    def __init__(self, server: Server, name: str) -> None:
        self._server, self._name = server, name
        self.acknowledged: list[tuple[int, str]] = []
        self.refused = 0

    async def write(self) -> None:
        count = 0
        while True:
            count += 1
            try:
                await self._round(f"{self._name}-{count}")
            except Forbidden:
                self.refused += 1
                await SystemClock().sleep(0.005)
            except (Unavailable, Timeout):
                await SystemClock().sleep(0.1)

    async def _round(self, name: str) -> None:
        registry, ref = self._server.registry, Ref(kinds.CONFIG_MAP, "default", name)
        made = await self._server.create(kinds.CONFIG_MAP, {"metadata": {"name": name}})
        self._took(made, "ADDED")
        try:
            patch = b'{"data":{"key":"value"}}'
            changed, _ = await registry.patch(ADMIN, ref, "application/merge-patch+json", patch)
            self._took(changed.doc, "MODIFIED")
        finally:
            await self._delete(ref)

    async def _delete(self, ref: Ref) -> None:
        """Again and again: what is left counts against the quota."""
        while True:
            try:
                await self._server.registry.delete(ADMIN, ref, DeleteOptions())
                return
            except (Unavailable, Timeout):
                await SystemClock().sleep(0.1)
            except ApiError:
                return

    def _took(self, doc: Doc, type_: str) -> None:
        self.acknowledged.append((int(doc["metadata"]["resourceVersion"]), type_))


async def faults(cluster: Cluster) -> None:
    clock = SystemClock()
    for number in range(FAULTS):
        member = cluster.members[number % 3]
        await clock.sleep(0.5)
        if number % 2:
            member.pause()
            await clock.sleep(1.5)
            member.resume()
        else:
            member.kill()
            await clock.sleep(0.5)
            cluster.start(member)
            await clock.sleep(1)


async def test_members_fail_under_two_servers(tmp_path: Path) -> None:
    with etcds.running(tmp_path, 3) as cluster:
        a, b = Server(cluster, "/faults", "a", 1), Server(cluster, "/faults", "b", 2)
        async with running(a, b):
            await a.create(kinds.NAMESPACE, {"metadata": {"name": "default"}})
            hard = {"count/configmaps": str(LIMIT)}
            quota = {"metadata": {"name": "few"}, "spec": {"hard": hard}}
            await a.create(kinds.RESOURCE_QUOTA, quota)
            await b.registry.confirm()
            stories = [Story(a), Story(b)]
            writers = [Writer((a, b)[n % 2], f"w{n}") for n in range(40)]
            async with asyncio.TaskGroup() as crew:
                tasks = [crew.create_task(story.follow()) for story in stories]
                writing = [crew.create_task(writer.write()) for writer in writers]
                await faults(cluster)
                for task in writing:
                    task.cancel()
                await asyncio.wait(writing)
                await asyncio.gather(a.registry.confirm(), b.registry.confirm())
                for task in tasks:
                    task.cancel()
    heard = [story.heard for story in stories]
    assert heard[0] == heard[1]
    revisions = [revision for revision, _, _ in heard[0]]
    assert revisions == sorted(set(revisions))
    told = {(revision, type_) for revision, type_, _ in heard[0]}
    acknowledged = [one for writer in writers for one in writer.acknowledged]
    assert set(acknowledged) <= told
    assert len(acknowledged) > 200 and any(writer.refused for writer in writers)
    assert stories[0].most_at_once() == LIMIT
