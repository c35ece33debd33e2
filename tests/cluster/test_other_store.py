"""A cluster that outgrows its machine: from the embedded store into etcd by a backup, and back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.cluster import stores
from longshore.cluster.backup.restore import REVISION_STEP, RestoreRequest, restore
from longshore.cluster.backup.take import backup
from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths, StoreConfig
from longshore.cluster.settings import encryption
from longshore.cluster.store_doctor import examine_store
from longshore.core.objects import kinds
from longshore.core.objects.errors import Expired
from longshore.core.registry.registry import Registry
from tests.core.registry.conftest import ADMIN
from tests.ports import free_port

CANARY = "canary-4711"


def nobody(done: int, objects: int) -> None:
    assert 0 < done <= objects


@pytest.fixture
def paths(tmp_path: Path) -> ClusterPaths:
    """A cluster with an embedded store, stopped, with a Secret and ten ConfigMaps."""
    paths = ClusterPaths(tmp_path / "root", "c")
    paths.create()
    paths.save(ClusterConfig("c", 1, "hollow", "none", 40_000))
    asyncio.run(fill(paths))
    return paths


@pytest.fixture
def file(paths: ClusterPaths, tmp_path: Path) -> Path:
    file = tmp_path / "b"
    backup(file, "c", paths.root, told=nobody)
    return file


def registry_of(paths: ClusterPaths) -> Registry:
    clock = SystemClock()
    store = stores.of_cluster(paths.load(), paths, "server", clock)
    return Registry(store, clock, Chance())


async def fill(paths: ClusterPaths) -> None:
    registry = registry_of(paths)
    await registry.open()
    running = asyncio.ensure_future(registry.run())
    await registry.create(ADMIN, kinds.NAMESPACE, {"metadata": {"name": "n"}})
    secret = {"metadata": {"name": "s"}, "stringData": {"key": CANARY}}
    await registry.create(ADMIN, kinds.SECRET, secret, namespace="n")
    for number in range(10):
        doc = {"metadata": {"name": f"m{number}"}, "data": {"n": str(number)}}
        await registry.create(ADMIN, kinds.CONFIG_MAP, doc, namespace="n")
    running.cancel()
    await registry.close()


def seen(paths: ClusterPaths) -> tuple[dict[str, Any], int]:
    """All objects of a stopped cluster as a server would show them, without their revisions."""
    found: dict[str, Any] = {}

    async def look() -> int:
        registry = registry_of(paths)
        revision = 0
        await registry.open()
        for stored in registry.cache.everything():
            found[stored.key] = stored.at(0).fresh()
            revision = max(revision, stored.revision)
        await registry.close()
        return revision

    return found, asyncio.run(look())


def restored(file: Path, name: str, paths: ClusterPaths, **more: Any) -> dict[str, Any]:
    return restore(RestoreRequest(file, name, paths.root, **more), nobody)


def test_into_etcd_and_back(
    paths: ClusterPaths, file: Path, own_etcd: StoreConfig, tmp_path: Path
) -> None:
    before, newest = seen(paths)
    done = restored(file, "c", paths, store=own_etcd)
    assert done["compared"] == {"same": 0, "changed": 0, "made": 12, "removed": 0}
    assert paths.load().store == own_etcd
    there, in_etcd = seen(paths)
    assert there == before
    assert in_etcd > newest + REVISION_STEP
    back, other = tmp_path / "back", ClusterPaths(paths.root, "d")
    backup(back, "c", paths.root, told=nobody)
    assert CANARY.encode() not in back.read_bytes()
    keys = paths.encryption
    restored(back, "d", paths, store=StoreConfig(), keys=keys)
    assert other.load().store == StoreConfig()
    again, in_file = seen(other)
    assert again == before
    assert in_file > in_etcd


def test_a_second_restore_goes_further_and_what_was_there_before_the_last_one_goes(
    paths: ClusterPaths, file: Path, own_etcd: StoreConfig
) -> None:
    before, _ = seen(paths)
    revisions = []
    for _ in range(4):
        restored(file, "c", paths, store=own_etcd)
        there, revision = seen(paths)
        assert there == before
        revisions.append(revision)
    assert revisions == sorted(set(revisions))
    assert asyncio.run(_keys(own_etcd)) < 3 * (len(before) + 5)


async def _keys(where: StoreConfig) -> int:
    from longshore.core.store.etcd import rpc_pb2 as rpc
    from longshore.core.store.etcd.members import RANGE

    async with stores.members(where, SystemClock()) as members:
        asked = rpc.RangeRequest(key=b"/longshore/", range_end=b"/longshore0", keys_only=True)
        return len((await members.ask(RANGE, asked)).kvs)


async def test_a_server_that_still_runs_ends_and_its_clients_list_again(
    paths: ClusterPaths, file: Path, own_etcd: StoreConfig
) -> None:
    await asyncio.to_thread(restored, file, "c", paths, store=own_etcd)
    old = registry_of(paths)
    await old.open()
    serving = asyncio.ensure_future(old.run())
    await old.create(ADMIN, kinds.NAMESPACE, {"metadata": {"name": "late"}})
    known = old.cache.revision
    await asyncio.to_thread(restored, file, "c", paths)
    with pytest.raises(ExceptionGroup) as ended:
        async with asyncio.timeout(60):
            await serving
    assert "was restored: start again" in repr(ended.value)
    await old.close()
    new = registry_of(paths)
    await new.open()
    assert new.cache.get(kinds.NAMESPACE, "", "late") is None
    with pytest.raises(Expired):
        new.cache.watch(kinds.NAMESPACE, since=known, prefix="", select=None, term=None)
    await new.close()


def test_what_is_somebody_elses_stays_unless_one_says_so(
    paths: ClusterPaths, file: Path, own_etcd: StoreConfig
) -> None:
    restored(file, "other", paths, store=own_etcd, keys=paths.encryption)
    with pytest.raises(ClusterError, match="has 12 objects of a cluster already: say --replace"):
        restored(file, "c", paths, store=own_etcd)
    assert paths.load().store == StoreConfig()
    restored(file, "c", paths, store=own_etcd, replace=True)
    assert paths.load().store == own_etcd


def test_dry_run_changes_nothing(paths: ClusterPaths, file: Path, own_etcd: StoreConfig) -> None:
    done = restored(file, "c", paths, store=own_etcd, dry_run=True)
    assert done["dryRun"]
    assert asyncio.run(_keys(own_etcd)) == 0
    assert paths.load().store == StoreConfig()


def test_an_etcd_that_does_not_answer_is_an_error_and_nothing_is_changed(
    paths: ClusterPaths, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from longshore.core.store.etcd import members

    monkeypatch.setattr(members.Members.__init__, "__defaults__", (None, 0.2, 0.2))
    nowhere = StoreConfig(f"etcd://127.0.0.1:{free_port()}")
    with pytest.raises(ClusterError, match="no member of etcd answers"):
        restored(file, "c", paths, store=nowhere)
    assert paths.load().store == StoreConfig()


def test_doctor_reads_all_of_it(paths: ClusterPaths, file: Path, own_etcd: StoreConfig) -> None:
    restored(file, "c", paths, store=own_etcd)
    (finding,) = examine_store(paths)
    assert finding.ok and "12 objects as of revision" in finding.line()
    paths.encryption.unlink()
    encryption.of_cluster(paths)  # another key
    (finding,) = examine_store(paths)
    assert not finding.ok and "/core/secrets/n/s cannot be read" in finding.line()
