"""A cluster in one file: of one moment, whole or not there, and back again with revisions that only
grow."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from longshore.base.chance import Chance
from longshore.cluster.backup import form, places
from longshore.cluster.backup import restore as restoring
from longshore.cluster.backup.form import BadBackup, Record
from longshore.cluster.backup.restore import REVISION_STEP, RestoreRequest
from longshore.cluster.backup.take import backup, snapshot, stopped
from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths
from longshore.cluster.host.processes import start_time
from longshore.cluster.local.up import start
from longshore.cluster.settings import encryption
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Update
from longshore.core.registry.registry import Registry
from longshore.core.store.protocol import Write
from longshore.core.store.sealed import SealedStore
from longshore.core.store.sealing import Sealing
from longshore.core.store.sqlite import SqliteStore
from longshore.testing.clock import VirtualClock, settle
from tests.core.registry.conftest import ADMIN

SECRET = "/core/secrets/n/a"
CANARY = b'{"apiVersion":"v1","kind":"Secret","metadata":{"x":"canary-4711"}}'
PLAIN = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"x":"seen"}}'


def restore(
    file: Path, name: str | None, root: Path, clock: VirtualClock | None = None, **more: Any
) -> dict[str, Any]:
    return restoring.restore(RestoreRequest(file, name, root, **more), nobody, clock)


def nobody(done: int, objects: int) -> None:
    assert 0 < done <= objects


async def _commit(paths: ClusterPaths, *writes: Write) -> None:
    store = SealedStore(SqliteStore(paths.store), encryption.of_cluster(paths))
    await store.open(lambda *_: None)
    assert all(await store.commit(writes))
    await store.close()


def commit(paths: ClusterPaths, *writes: Write) -> None:
    asyncio.run(_commit(paths, *writes))


def plain(paths: ClusterPaths) -> dict[str, bytes]:
    """All that the store of a stopped cluster has, as it is read with the cluster's keys."""
    sealing = encryption.of_cluster(paths)
    store = SealedStore(SqliteStore(paths.store), sealing)
    found: dict[str, bytes] = {}

    async def read() -> None:
        await store.open(lambda key, value, _: found.update({key: value}))
        await store.close()

    asyncio.run(read())
    return found


def tree(home: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(home)): hashlib.sha256(p.read_bytes()).digest()
        for p in home.rglob("*")
        if p.is_file()
    }


@pytest.fixture
def paths(tmp_path: Path) -> ClusterPaths:
    """A cluster that is stopped, with a Secret and 40 ConfigMaps."""
    paths = ClusterPaths(tmp_path / "root", "c")
    paths.create()
    (paths.pki / "ca.crt").write_text("authority")
    paths.audit_policy.write_text("policy")
    paths.save(ClusterConfig("c", 1, "hollow", "none", 40_000))
    maps = [Write(f"/core/configmaps/n/{i}", PLAIN, 0) for i in range(40)]
    commit(paths, Write(SECRET, CANARY, 0), *maps)
    return paths


@pytest.fixture
def file(paths: ClusterPaths, tmp_path: Path) -> Path:
    file = tmp_path / "b"
    backup(file, "c", paths.root, told=nobody)
    return file


# --- of one moment ---


async def _load(registry: Registry, config_maps: int) -> None:
    """Pairs in one batch with the counter that says how many there are; and noise."""

    def config_map(name: str, **data: str) -> Doc:
        return {"metadata": {"name": name, "namespace": "n"}, "data": data}

    await registry.create(ADMIN, kinds.NAMESPACE, {"metadata": {"name": "n"}})
    counter, _ = await registry.create(
        ADMIN, kinds.CONFIG_MAP, config_map("counter", pairs="0"), namespace="n"
    )
    doc = counter.fresh()
    for number in range(1, config_maps):
        halves = [Create(kinds.CONFIG_MAP, config_map(f"{number}-{half}")) for half in "ab"]
        doc["data"]["pairs"] = str(number)
        answers = await registry.submit(ADMIN, [*halves, Update(kinds.CONFIG_MAP, doc)])
        doc = orjson.loads(orjson.dumps(answers[2]))
        assert "data" in doc, doc


class _Turns(VirtualClock):
    """Any pause is one turn of the loop."""

    async def sleep(self, seconds: float) -> None:
        await settle(1)


async def _taken(registry: Registry, store: SealedStore, slices: list[bytes]) -> None:
    """A backup as a server sends it: a slice, then others' turn."""
    async for piece in snapshot(registry.cache, store, _Turns()):
        slices.append(piece)


def _check(slices: list[bytes]) -> int:
    first, *lines = b"".join(slices).splitlines()
    found = {record.key: record for record in map(form.record_of, lines)}
    beginning = orjson.loads(first)
    assert beginning["objects"] == len(lines) == len(found)
    assert max(one.revision for one in found.values()) == beginning["revision"]
    pairs = int(orjson.loads(found["/core/configmaps/n/counter"].value)["data"]["pairs"])
    halves = {f"/core/configmaps/n/{i}-{half}" for i in range(1, pairs + 1) for half in "ab"}
    assert halves | {"/core/configmaps/n/counter"} == {k for k in found if "configmaps" in k}
    return pairs


async def test_backups_under_load_are_of_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "_SLICE_BYTES", 512)
    store = SealedStore(SqliteStore(tmp_path / "s.db"), Sealing({}))
    registry = Registry(store, VirtualClock(), Chance.seeded(1))
    await registry.open()
    backups: list[list[bytes]] = []
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        load = crew.create_task(_load(registry, 120))
        while not load.done():
            if registry.cache.get(kinds.CONFIG_MAP, "n", "counter") is None:
                await settle(1)
                continue
            backups.append([])
            await _taken(registry, store, backups[-1])
        running.cancel()
    await registry.close()
    seen = [_check(slices) for slices in backups]
    assert len(set(seen)) >= 5 and seen == sorted(seen)


# --- whole, or not there ---


def test_a_backup_is_its_owners_and_tells_no_secret(paths: ClusterPaths, file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = {record.key: record.value for record in form.records(file)}
    assert found["/core/configmaps/n/1"] == PLAIN and found[SECRET].startswith(b"k8s:enc:")
    kept = form.verified(file).files
    assert set(kept) == {"cluster.json", "audit-policy.yaml", "pki/ca.crt"}
    assert not any(b"canary" in value for value in (*found.values(), *kept.values()))


def test_a_backup_that_breaks_off_leaves_what_was_there(
    paths: ClusterPaths, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, names = file.read_bytes(), sorted(file.parent.iterdir())

    def broken(*_: object) -> tuple[form.Beginning, Iterator[Record]]:
        return form.Beginning(41, 41), iter([Record("/core/configmaps/n/1", 2, PLAIN)])

    monkeypatch.setattr("longshore.cluster.backup.take.stopped", broken)
    with pytest.raises(ClusterError, match="in the middle: 1 of 41"):
        backup(file, "c", paths.root, told=nobody)
    assert file.read_bytes() == before and sorted(file.parent.iterdir()) == names


def test_a_changed_or_shortened_file_is_refused_and_changes_nothing(
    paths: ClusterPaths, file: Path
) -> None:
    whole, before = file.read_bytes(), tree(paths.home)
    damaged = [whole[:at] for at in range(0, len(whole), 397)]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(0, len(whole), 397)
    ]
    broken = whole.replace(b'"}\n', b"#}\n", 1)
    assert broken != whole
    for content in (*damaged, broken):
        file.write_bytes(content)
        with pytest.raises(BadBackup):
            restore(file, "c", paths.root)
    assert tree(paths.home) == before


def test_files_that_are_no_backups_are_refused(paths: ClusterPaths, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'{"kind":"Pod"}\n')
    with pytest.raises(BadBackup, match="is no backup"):
        restore(tmp_path / "x", "c", paths.root)
    with pytest.raises(BadBackup, match="cannot be read: No such file"):
        restore(tmp_path / "y", "c", paths.root)
    (tmp_path / "x").write_bytes(form.line(longshore="backup", format=2))
    with pytest.raises(BadBackup, match="has format 2, this Longshore reads 1"):
        restore(tmp_path / "x", "c", paths.root)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "pki/../../x", "state/store.db", "..", "pki/"])
def test_a_backup_writes_nowhere_else(paths: ClusterPaths, tmp_path: Path, name: str) -> None:
    file, config = tmp_path / "evil", paths.config.read_bytes()
    with form.writing(file) as writer:
        writer.add(
            form.line(
                longshore="backup", format=1, revision=1, objects=0, made="2026-01-01T00:00:00Z"
            )
        )
        for path, content in (("cluster.json", config), (name, b"x")):
            writer.add(form.line(file=path, content=base64.b64encode(content).decode()))
    before = tree(tmp_path)
    with pytest.raises(BadBackup, match="no business"):
        restore(file, "c", paths.root)
    assert tree(tmp_path) == before


# --- back again ---


def test_a_cluster_goes_back_and_its_revisions_go_on(paths: ClusterPaths, file: Path) -> None:
    commit(paths, Write(SECRET, None, 1), Write("/core/configmaps/n/1", b'{"newer":1}', 3))
    commit(paths, Write("/core/configmaps/n/new", PLAIN, 0))
    before, told = tree(paths.home), stopped(paths.load(), paths)[0].revision
    dry = restore(file, None, paths.root, dry_run=True)
    assert tree(paths.home) == before
    assert dry["compared"] == {"same": 39, "changed": 1, "made": 1, "removed": 1}
    done = restore(file, None, paths.root)
    assert done["revision"] >= told + REVISION_STEP
    beginning, records = stopped(paths.load(), paths)
    assert min(record.revision for record in records) > done["revision"]
    assert beginning.revision == done["revision"] + 41
    found = plain(paths)
    assert found.pop(SECRET) == CANARY and set(found.values()) == {PLAIN}
    assert stat.S_IMODE(paths.store.stat().st_mode) == 0o600


def test_the_same_file_restored_again_never_repeats_a_revision(
    paths: ClusterPaths, file: Path
) -> None:
    """Not even where nothing is left of what the first restore began."""
    made, seen = form.verified(file).made, list[int]()
    for name, passed_s in (("x", 10), ("y", 20), ("z", 30)):
        clock = VirtualClock(made + passed_s)
        done = restore(file, name, paths.root, keys=paths.encryption, clock=clock)
        seen.append(done["revision"])
    assert seen[1] - seen[0] >= 10 * restoring.WRITES_PER_S
    assert seen == sorted(set(seen))


def test_a_new_cluster_needs_the_keys_and_is_not_begun_without(
    paths: ClusterPaths, file: Path
) -> None:
    with pytest.raises(ClusterError, match=r"with the key 'cluster-.*give them with"):
        restore(file, "other", paths.root)
    assert not (paths.root / "other").exists()
    restore(file, "other", paths.root, keys=paths.encryption)
    other = ClusterPaths(paths.root, "other")
    assert plain(other) == plain(paths)
    assert other.load().name == "other"
    assert (other.pki / "ca.crt").read_text() == "authority"
    assert {stat.S_IMODE(p.stat().st_mode) for p in other.home.rglob("*") if p.is_file()} == {0o600}


def test_keys_can_travel_inside(paths: ClusterPaths, tmp_path: Path) -> None:
    backup(tmp_path / "k", "c", paths.root, with_keys=True, told=nobody)
    restore(tmp_path / "k", "other", paths.root)
    assert plain(ClusterPaths(paths.root, "other"))[SECRET] == CANARY


def test_a_running_cluster_is_refused(paths: ClusterPaths, file: Path) -> None:
    me = {"role": "server", "pid": os.getpid(), "started": start_time(os.getpid())}
    (paths.processes / "server.json").write_bytes(orjson.dumps(me))
    with pytest.raises(ClusterError, match="'c' is running: longshore stop --name c first"):
        restore(file, "c", paths.root)


def test_a_store_that_cannot_be_read_is_put_aside(paths: ClusterPaths, file: Path) -> None:
    paths.store.write_bytes(b"ruins" * 1000)
    done = restore(file, "c", paths.root)
    assert "unreadable" in done["compared"]
    assert plain(paths)[SECRET] == CANARY
    assert (paths.home / "state.before-restore" / "store.db").read_bytes() == b"ruins" * 1000


@pytest.mark.parametrize(
    ("part", "step"), [(places.InFile, "put"), (restoring._Exchange, "_put_files")]
)
def test_a_restore_that_is_cut_off_does_not_start_and_is_finished_by_another(
    paths: ClusterPaths, file: Path, part: type, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(paths, Write("/core/configmaps/n/new", PLAIN, 0))
    with monkeypatch.context() as patch:
        patch.setattr(part, step, _cut_off)
        with pytest.raises(KeyboardInterrupt):
            restore(file, "c", paths.root)
    with pytest.raises(ClusterError, match="'c' is half restored, from /"):
        start("c", paths.root, 1, lambda what: pytest.fail(what))
    restore(file, "c", paths.root)
    assert not paths.restoring.exists() and "/core/configmaps/n/new" not in plain(paths)
    paths.store = paths.home / "state.before-restore" / "store.db"
    assert "/core/configmaps/n/new" in plain(paths)


def _cut_off(*_: Any) -> None:
    raise KeyboardInterrupt
