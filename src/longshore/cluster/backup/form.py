"""The form of a backup: JSON lines, which any store can be made of and a person can look into.

    {"longshore": "backup", "format": 1, "cluster": NAME, "made": RFC 3339, "version": ...,
     "revision": N, "objects": N}
    {"file": "pki/ca.crt", "content": BASE64}                    what the cluster has beside its store
    {"key": "/core/pods/default/a", "revision": N, "value": BASE64}                       every object
    {"sha256": HEX}                                        of all bytes before; the last line of a file

A copy of the SQLite file would be quicker, but then only SQLite could take it. Values are as the store
has them: Secrets are ciphertext. So the keys (encryption.yaml) stay out unless they are asked for:
whoever finds the file may act as the cluster's authority, but reads no Secret. It is mode 0600.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from longshore.base.clock import parse_rfc3339
from longshore.cluster.config import ClusterError

FORMAT = 1
_SLICE_BYTES = 64 * 1024
# All of a large file at once would hold up the disk for the store of the cluster.
_SYNCHRONISE_BYTES = 4 * 1024 * 1024


class Record(NamedTuple):
    """One object as the store has it."""

    key: str
    revision: int
    value: bytes


class Beginning(NamedTuple):
    """What a server says before its records: all of them are as of this revision."""

    revision: int
    objects: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file that is whole has beside its records. files are by their path in the cluster's
    directory."""

    header: dict[str, Any]
    files: dict[str, bytes]

    @property
    def revision(self) -> int:
        return int(self.header["revision"])

    @property
    def made(self) -> float:
        """In seconds since the epoch."""
        return parse_rfc3339(self.header["made"])


class BadBackup(ClusterError):
    """The file is no backup, or not as it was written."""


def line(**fields: Any) -> bytes:
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def record_line(record: Record) -> bytes:
    """Put together by hand: a server makes one for every object, between the requests of others."""
    return b'{"key":%b,"revision":%d,"value":"%b"}\n' % (
        orjson.dumps(record.key), record.revision, base64.b64encode(record.value),
    )  # fmt: skip


def is_record(text: bytes) -> bool:
    """Whether a line is a record, and whole."""
    return text.startswith(b'{"key":') and text.endswith(b'"}\n')


def record_of(text: bytes) -> Record:
    """Raises BadBackup."""
    try:
        fields = orjson.loads(text)
        value = base64.b64decode(fields["value"], validate=True)
        return Record(fields["key"], fields["revision"], value)
    except (orjson.JSONDecodeError, KeyError, TypeError, binascii.Error):
        raise BadBackup(f"this is no record of a backup: {text[:80]!r}") from None


def slices(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines in pieces that cost a server well under a millisecond each."""
    gathered, size = list[bytes](), 0
    for one in lines:
        gathered.append(one)
        size += len(one)
        if size >= _SLICE_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


@contextmanager
def writing(file: Path) -> Iterator[_Writer]:
    """A backup that is there under its name when it is whole and on disk, and not before."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            writer = _Writer(out)
            yield writer
            writer.finish()
        aside.rename(file)
        synchronise(file.parent)
    finally:
        aside.unlink(missing_ok=True)


class _Writer:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._sum = hashlib.sha256()
        self._unsynchronised = 0

    def add(self, text: bytes) -> None:
        self._sum.update(text)
        self._out.write(text)
        self._unsynchronised += len(text)
        if self._unsynchronised > _SYNCHRONISE_BYTES:
            os.fdatasync(self._out.fileno())
            self._unsynchronised = 0

    def finish(self) -> None:
        self._out.write(line(sha256=self._sum.hexdigest()))
        self._out.flush()
        os.fsync(self._out.fileno())


def synchronise(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def verified(file: Path) -> Contents:
    """Read a file through. Raises BadBackup unless every byte is as it was written."""
    total, last, objects = hashlib.sha256(), b"", 0
    first: bytes | None = None
    files: list[bytes] = []
    for text in _lines(file):
        if first is None:
            first = _header_line(file, text)
        elif last.startswith(b'{"file":'):
            files.append(last)
        elif is_record(last):
            objects += 1
        total.update(last)
        last = text
    if last != line(sha256=total.hexdigest()):
        raise BadBackup(f"{file} is damaged or cut short: its checksum does not fit its contents")
    header = orjson.loads(first or b"{}")
    if header["objects"] != objects:
        raise BadBackup(f"{file} has {objects} objects and says {header['objects']}")
    return Contents(header, dict(map(_file, files)))


def records(file: Path) -> Iterator[Record]:
    """The objects of a file that was verified."""
    return (record_of(text) for text in _lines(file) if is_record(text))


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as lines:
            yield from lines
    except OSError as error:
        raise BadBackup(f"{file} cannot be read: {error.strerror}") from None


def _header_line(file: Path, text: bytes) -> bytes:
    try:
        header = orjson.loads(text)
        known = header["longshore"] == "backup"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        known = False
    if not known:
        raise BadBackup(f"{file} is no backup of a cluster: longshore backup makes one")
    if header["format"] != FORMAT:
        raise BadBackup(
            f"{file} has format {header['format']}, this Longshore reads {FORMAT}: "
            "restore it with the version that made it"
        )
    return text


def _file(text: bytes) -> tuple[str, bytes]:
    fields = orjson.loads(text)
    return fields["file"], base64.b64decode(fields["content"])
