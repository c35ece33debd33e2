"""Take a backup: of a running cluster through its server, which goes on serving, or of one that is
stopped from its store.

A server's cache holds every object as it stands, and objects there never change but are replaced. So a
list of them, made in one turn of the loop, is the whole store at one revision; it is encoded and sent in
slices between the requests of others.
"""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from longshore import __version__
from longshore.base.clock import Clock, SystemClock, rfc3339
from longshore.cluster import stores
from longshore.cluster.backup import form
from longshore.cluster.backup.form import Beginning, Record
from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths, default_root
from longshore.cluster.host.processes import recorded
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context
from longshore.core.store.protocol import StoreError
from longshore.core.store.sealed import SealedStore
from longshore.core.watch.cache import Cache
from longshore.doors.kubernetes.door import SNAPSHOT_PATH

# A server answers at once; between two slices it may be busy.
_SILENCE_S = 60.0
# Between two slices the server rests: the store's thread, which writers wait for, has to win the
# interpreter from a busy loop, and that takes it up to 5 ms (sys.getswitchinterval).
_PAUSE_S = 0.002
Told = Callable[[int, int], object]
"""Hears how many of how many objects are written."""


async def snapshot(cache: Cache, store: SealedStore, clock: Clock) -> AsyncGenerator[bytes, None]:
    """What a server sends: a Beginning, and the records of the moment in which it is begun."""
    objects = cache.everything()
    first = form.line(revision=cache.revision, objects=len(objects))
    lines = (
        form.record_line(Record(one.key, one.revision, store.seal(one.key, one.at(0).raw)))
        for one in objects
    )
    for piece in form.slices(chain((first,), lines)):
        yield piece
        await clock.sleep(_PAUSE_S)


def backup(
    file: Path, name: str, root: Path | None, *, with_keys: bool = False, told: Told
) -> dict[str, Any]:
    """Write a backup; what is in it. Raises ClusterError: then there is no new file."""
    paths = ClusterPaths((root or default_root()).absolute(), name)
    config = paths.load()
    try:
        with form.writing(file) as writer, _source(config, paths) as (beginning, lines):
            writer.add(_header(config, beginning))
            files = list(_files(paths, with_keys))
            for path in files:
                content = base64.b64encode(path.read_bytes()).decode()
                writer.add(form.line(file=str(path.relative_to(paths.home)), content=content))
            _copy(writer, lines, beginning.objects, told)
    except OSError as error:
        raise ClusterError(f"{file} could not be written: {error}") from None
    return {
        "file": str(file), "cluster": name, "revision": beginning.revision,
        "objects": beginning.objects, "files": len(files), "bytes": file.stat().st_size,
        "keys": str(paths.encryption), "keysIncluded": with_keys,
    }  # fmt: skip


def _copy(writer: Any, lines: Iterator[bytes], objects: int, told: Told) -> None:
    copied = 0
    for text in lines:
        if not form.is_record(text):
            break
        writer.add(text)
        copied += 1
        told(copied, objects)
    if copied != objects:
        raise ClusterError(f"the server ended in the middle: {copied} of {objects} objects came")


def _header(config: ClusterConfig, beginning: Beginning) -> bytes:
    return form.line(
        longshore="backup", format=form.FORMAT, cluster=config.name,
        made=rfc3339(SystemClock().now()), version=__version__, **beginning._asdict(),
    )  # fmt: skip


def _files(paths: ClusterPaths, with_keys: bool) -> Iterator[Path]:
    """What a cluster cannot come back without, or not as it was."""
    given = (paths.audit_policy, paths.authentication, paths.authorization, paths.admission)
    kept = [paths.config, *given, *([paths.encryption] if with_keys else [])]
    yield from (path for path in kept if path.exists())
    yield from sorted(path for path in paths.pki.iterdir() if path.suffix in (".crt", ".key"))


@contextmanager
def _source(
    config: ClusterConfig, paths: ClusterPaths
) -> Iterator[tuple[Beginning, Iterator[bytes]]]:
    if any(one.role in config.server_names and one.alive for one in recorded(paths.processes)):
        with _served(config, paths) as answer:
            yield Beginning(**orjson.loads(answer.readline())), iter(answer)
        return
    beginning, found = stopped(config, paths)
    yield beginning, (form.record_line(record) for record in found)


@contextmanager
def _served(config: ClusterConfig, paths: ClusterPaths) -> Iterator[http.client.HTTPResponse]:
    context = client_context(Pair.named(paths.pki, "admin"), paths.pki / "ca.crt")
    server = http.client.HTTPSConnection(
        "127.0.0.1", config.port, context=context, timeout=_SILENCE_S
    )
    try:
        server.request("GET", SNAPSHOT_PATH)
        answer = server.getresponse()
        if answer.status != http.HTTPStatus.OK:
            said = answer.read(300).decode(errors="replace")
            raise ClusterError(f"the server of {config.name!r} said {answer.status}: {said}")
        yield answer
    except (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException) as error:
        raise ClusterError(f"the server of {config.name!r} broke off: {error!r}") from None
    finally:
        server.close()


def stopped(config: ClusterConfig, paths: ClusterPaths) -> tuple[Beginning, list[Record]]:
    """All that is in the store of a cluster that does not run. Raises ClusterError."""
    found: list[Record] = []

    def take(key: str, value: bytes, revision: int) -> None:
        found.append(Record(key, revision, value))

    try:
        revision = stores.contents(config, paths, take)
    except StoreError as error:
        raise ClusterError(str(error)) from None
    return Beginning(revision, len(found)), sorted(found, key=lambda record: record.revision)
