"""Make a cluster of a backup: a new one, or one that is stopped and goes back.

Nothing is changed before the whole file has been verified and every value in it can be read. The store
that was there stays beside the new one (state.before-restore). While files are exchanged a mark stands
in the cluster's directory; a cluster that has it does not start, and restoring again finishes it.

Every revision that may have been handed out stays behind, so clients that watch hear 410 and list anew,
and none takes an old revision for a new one. What is restored is numbered above the backup's revision and
that of the store it replaces, by a large step (as etcdutl snapshot restore --bump-revision) and by what
could have been written since the backup was made: a store that was lost, or an earlier restore of the
same file, may have handed those out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from longshore.base.clock import Clock, SystemClock
from longshore.base.files import write_private
from longshore.cluster.backup import form
from longshore.cluster.backup.form import BadBackup, Contents, Record
from longshore.cluster.backup.places import place_of
from longshore.cluster.backup.take import Told, stopped
from longshore.cluster.config import (
    ClusterConfig,
    ClusterError,
    ClusterPaths,
    StoreConfig,
    check_name,
    config_of,
    default_root,
)
from longshore.cluster.host.ports import free_port
from longshore.cluster.host.processes import recorded
from longshore.cluster.settings import encryption
from longshore.core.store.protocol import StoreError
from longshore.core.store.sealing import Sealing, header_of

REVISION_STEP = 1_000_000_000
"""What etcd's documentation suggests (op-guide/recovery)."""
WRITES_PER_S = 10_000
"""More than any cluster has."""
ETCD_STRIDE = 1024
"""A transaction of etcd takes as many revisions as it could have writes."""


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """name is the backup's own by default; keys is an EncryptionConfiguration to use instead of the
    cluster's; store is where its objects shall be (None: where they were). replace: what is in that
    etcd, of whomever it is, may go."""

    file: Path
    name: str | None = None
    root: Path | None = None
    keys: Path | None = None
    dry_run: bool = False
    store: StoreConfig | None = None
    replace: bool = False


def restore(request: RestoreRequest, told: Told, clock: Clock | None = None) -> dict[str, Any]:
    """Restore a backup; what was, or would be, changed. Raises ClusterError: then nothing was."""
    file, clock = request.file, clock or SystemClock()
    contents = form.verified(file)
    config = _config(file, contents)
    name = check_name(request.name or config.name)
    paths = ClusterPaths((request.root or default_root()).absolute(), name)
    _refuse_running(paths)
    key_file = _keys(paths, contents, request.keys)
    _check_readable(file, key_file)
    store = _store(request, config, paths)
    before = _before(paths, store, replaces=request.replace)
    stride = ETCD_STRIDE if store.address or config.elects else 1
    revision = max(contents.revision, before.revision) + _step(contents, clock.now(), stride)
    result = {
        "cluster": name, "new": not paths.config.exists(), "made": contents.header["made"],
        "fromRevision": contents.revision, "revision": revision,
        "objects": contents.header["objects"], "files": len(contents.files),
        **before.compared(form.records(file)), "dryRun": request.dry_run,
        "store": store.address,
    }  # fmt: skip
    if not request.dry_run:
        kept = replace(config, name=name, port=_port(config, paths), servers=1, store=store)
        _Exchange(paths, contents, kept, key_file).run(file, revision, told)
    return result


def _step(contents: Contents, now: float, stride: int) -> int:
    """How far revisions go on beyond those that are known. now is in seconds since the epoch; stride
    is how many revisions a write may take."""
    passed_s = max(0, int(now - contents.made) + 1)
    return REVISION_STEP + passed_s * WRITES_PER_S * stride


def _store(request: RestoreRequest, config: ClusterConfig, paths: ClusterPaths) -> StoreConfig:
    """Where the objects shall be."""
    if request.store is not None:
        return request.store
    there = paths.load() if paths.config.exists() else config
    if there.shared or config.shared:
        raise ClusterError(
            f"{config.name!r} had {config.servers} servers on an etcd of its own, which a restore cannot "
            "start: say --store sqlite, for one server, or --store etcd://..."
        )
    return there.store


def _config(file: Path, contents: Contents) -> ClusterConfig:
    try:
        return config_of(orjson.loads(contents.files["cluster.json"]))
    except (KeyError, TypeError, orjson.JSONDecodeError):
        raise BadBackup(
            f"{file} has no cluster.json that this version of Longshore reads"
        ) from None


def _refuse_running(paths: ClusterPaths) -> None:
    if any(process.alive for process in recorded(paths.processes)):
        name = paths.home.name
        raise ClusterError(
            f"{name!r} is running: longshore stop --name {name} first, or restore under another --name"
        )


def _port(config: ClusterConfig, paths: ClusterPaths) -> int:
    """The port that the cluster has already; else the backup's, or another if that is taken."""
    if paths.config.exists():
        return paths.load().port
    return free_port(paths, config.port)


# --- whether it can be done ---


def _keys(paths: ClusterPaths, contents: Contents, given: Path | None) -> bytes | None:
    """The EncryptionConfiguration that the cluster will have."""
    if given is not None:
        encryption.read(given)
        return given.read_bytes()
    inside = contents.files.get(paths.encryption.name)
    if inside is not None or not paths.encryption.exists():
        return inside
    return paths.encryption.read_bytes()


def _check_readable(file: Path, keys: bytes | None) -> None:
    """Raises ClusterError if a value in the backup could not be read by the restored cluster."""
    sealing = Sealing({}) if keys is None else encryption.parse(keys, "the keys at hand")
    try:
        for key, _, value in form.records(file):
            if header := header_of(value):
                sealing.reader(key, header).unseal(key, value)
    except StoreError as error:
        raise ClusterError(
            f"{error}; the keys are in the encryption.yaml of the cluster that was backed up: "
            "give them with --encryption-config"
        ) from None


class _Before:
    """The store that a restore replaces: revisions by key. None of them if it cannot be read, which
    may be why somebody restores."""

    def __init__(self, revision: int, keys: dict[str, int], trouble: str = "") -> None:
        self.revision = revision
        self.objects = len(keys)
        self.trouble = trouble
        self._keys = keys

    def compared(self, records: Iterable[Record]) -> dict[str, Any]:
        """How many objects stay, change, come and go. An object at another revision has changed."""
        found = {record.key: record.revision for record in records}
        there = self._keys.keys() & found.keys()
        same = sum(self._keys[key] == found[key] for key in there)
        counts = {
            "same": same, "changed": len(there) - same,
            "made": len(found) - len(there), "removed": len(self._keys) - len(there),
        }  # fmt: skip
        trouble = {"unreadable": self.trouble} if self.trouble else {}
        return {"compared": {**counts, **trouble}}


def _before(paths: ClusterPaths, store: StoreConfig, *, replaces: bool) -> _Before:
    """What the cluster has. Raises ClusterError if somebody else's objects are where its own shall be."""
    known = paths.load() if paths.config.exists() else None
    if store.address and (known is None or known.store.address != store.address):
        return _elsewhere(paths, store, replaces=replaces)
    if known is None or (not known.elects and not paths.store.exists()):
        return _Before(0, {})
    return _read(known, paths)


def _elsewhere(paths: ClusterPaths, store: StoreConfig, *, replaces: bool) -> _Before:
    """What is in an etcd that is not the cluster's yet."""
    there = _read(ClusterConfig(paths.home.name, 1, "hollow", "none", 0, store=store), paths)
    if there.trouble:
        raise ClusterError(there.trouble)
    if there.objects and not replaces:
        raise ClusterError(
            f"{store.address} has {there.objects} objects of a cluster already: say --replace to put "
            "the backup in their place"
        )
    return there


def _read(config: ClusterConfig, paths: ClusterPaths) -> _Before:
    try:
        beginning, records = stopped(config, paths)
    except ClusterError as error:
        return _Before(0, {}, str(error))
    return _Before(beginning.revision, {record.key: record.revision for record in records})


# --- doing it ---


class _Exchange:
    """The new objects and files of a cluster, made aside and put in place."""

    def __init__(
        self, paths: ClusterPaths, contents: Contents, config: ClusterConfig, keys: bytes | None
    ) -> None:
        self._paths = paths
        self._contents = contents
        self._config = config
        self._keys = keys
        self._files = {name: _place(paths, name) for name in contents.files}
        self._objects = place_of(paths, config.store)

    def run(self, file: Path, revision: int, told: Told) -> None:
        paths, objects = self._paths, self._contents.header["objects"]
        paths.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._objects.fill(form.records(file), revision, lambda done: told(done, objects))
        if not paths.restoring.exists():
            self._objects.clear()
        write_private(paths.restoring, str(file).encode())
        form.synchronise(paths.home)
        self._objects.put()
        paths.create()
        self._put_files()
        paths.save(self._config)
        form.synchronise(paths.home)
        paths.restoring.unlink()
        form.synchronise(paths.home)

    def _put_files(self) -> None:
        for name, content in self._contents.files.items():
            if name != self._paths.config.name:
                write_private(self._files[name], content)
        if self._keys is not None:
            write_private(self._paths.encryption, self._keys)


def _place(paths: ClusterPaths, name: str) -> Path:
    """Raises BadBackup for what is not directly in the cluster's directory or its pki."""
    folder, _, last = name.rpartition("/")
    if folder not in ("", paths.pki.name) or last in ("", ".", ".."):
        raise BadBackup(f"a backup has no business with the file {name!r}")
    return paths.home / name
