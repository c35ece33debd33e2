"""Reads what an image archive says: docker-archive and OCI layout tars, and skopeo's directories.

Nothing here writes. The one result is a list of Manifest: names, configuration bytes, and layers
that can be opened.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Protocol

import orjson

from longshore.machinery.runtime.images.reference import normalise
from longshore.machinery.runtime.protocol import RuntimeFailure

_GZIP, _ZSTD, _XZ, _BZIP2 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh"
_REFUSED = {_ZSTD: "zstd", _XZ: "xz", _BZIP2: "bzip2"}
# A manifest or configuration larger than this is not one (registries refuse them above 4 MiB).
_DOCUMENT_MAX_BYTES = 4 * 1024 * 1024
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# What reading a damaged or nonsensical archive raises.
DAMAGE = (
    tarfile.TarError,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
)


class Blobs(Protocol):
    """Where an archive's parts are, by name."""

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]: ...

    def has(self, name: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: the sha256 of its uncompressed tar (hex), and how to open it as stored."""

    diff_id: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image of an archive. digest is its manifest's ("" where the archive has none)."""

    names: tuple[str, ...]
    config: dict[str, Any]
    id: str
    layers: tuple[Layer, ...]
    digest: str = ""


class Directory:
    """A directory of blobs, as `skopeo copy ... dir:PATH` leaves it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return (self._path / name).open("rb")

    def has(self, name: str) -> bool:
        return (self._path / name).is_file()


class Tar:
    """A tar opened for random access. Member names are taken as they stand, without a leading ./"""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = {member.name.removeprefix("./"): member for member in tar}

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        # docker save writes repeated layers as symbolic links; extractfile follows them.
        part = self._tar.extractfile(self._members[name])
        if part is None:
            raise ValueError(f"{name} is not a file")
        return part

    def has(self, name: str) -> bool:
        return name in self._members


@contextmanager
def opened(path: Path) -> Iterator[Blobs]:
    """The parts of an archive file, plain or gzip. Raises RuntimeFailure for another compression."""
    with (
        path.open("rb") as file,
        _plain(file, str(path)) as plain,
        tarfile.open(fileobj=plain, mode="r:") as tar,
    ):
        yield Tar(tar)


def manifests(blobs: Blobs) -> list[Manifest]:
    """Every image of the archive. Raises one of DAMAGE if it contradicts itself."""
    if blobs.has("manifest.json"):
        return [_docker(blobs, entry) for entry in _document(blobs, "manifest.json")]
    if not blobs.has("index.json"):
        raise ValueError(
            "it has neither manifest.json (docker-archive) nor index.json (OCI layout)"
        )
    index = _document(blobs, "index.json")
    return [_oci(blobs, entry, _names(entry)) for entry in _images(blobs, index["manifests"])]


def fetched(blobs: Directory, reference: str) -> Manifest:
    """The image that skopeo fetched into a directory, under the reference it was asked for."""
    raw = _read(blobs, "manifest.json")
    manifest = orjson.loads(raw)
    return _assemble(
        blobs,
        manifest,
        (reference,),
        f"sha256:{hashlib.sha256(raw).hexdigest()}",
        lambda hexa: hexa,
    )


def uncompressed(stream: IO[bytes], what: str) -> IO[bytes]:
    """The stream, through gzip if it is gzip. Raises RuntimeFailure naming any other compression."""
    head = stream.read(6)
    stream.seek(0)
    for magic, name in _REFUSED.items():
        if head.startswith(magic):
            raise RuntimeFailure(
                f"{what} is compressed with {name}, which is not supported: use gzip"
            )
    return gzip.GzipFile(fileobj=stream) if head.startswith(_GZIP) else stream  # type: ignore[return-value]


@contextmanager
def _plain(file: IO[bytes], what: str) -> Iterator[IO[bytes]]:
    """A seekable tar: a compressed archive is expanded into a nameless file first."""
    stream = uncompressed(file, what)
    if stream is file:
        yield file
        return
    with TemporaryFile() as expanded:
        while piece := stream.read(1 << 20):
            expanded.write(piece)
        expanded.seek(0)
        yield expanded


def _docker(blobs: Blobs, entry: dict[str, Any]) -> Manifest:
    config = _read(blobs, entry["Config"])
    diff_ids = orjson.loads(config)["rootfs"]["diff_ids"]
    if len(diff_ids) != len(entry["Layers"]):
        raise ValueError("its configuration and its manifest disagree on the number of layers")
    layers = tuple(
        Layer(_hex(diff_id), _opener(blobs, name, None))
        for diff_id, name in zip(diff_ids, entry["Layers"], strict=True)
    )
    names = tuple(normalise(name) for name in entry.get("RepoTags") or ())
    return Manifest(names, orjson.loads(config), hashlib.sha256(config).hexdigest(), layers)


def _images(blobs: Blobs, entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Image manifests of an index; of a nested index, the one for this machine."""
    for entry in entries:
        kind = entry.get("mediaType", "")
        if "index" not in kind and "manifest.list" not in kind:
            yield entry
            continue
        inner = orjson.loads(_verified(blobs, entry["digest"]))["manifests"]
        chosen = [one for one in inner if _ours(one.get("platform", {}))]
        if not chosen:
            raise ValueError(f"it has no image for linux/{architecture()}")
        yield {**chosen[0], "annotations": entry.get("annotations", {})}


def _ours(platform: dict[str, str]) -> bool:
    return platform.get("os") == "linux" and platform.get("architecture") == architecture()


def architecture() -> str:
    """This machine's, as images name it."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def _oci(blobs: Blobs, entry: dict[str, Any], names: tuple[str, ...]) -> Manifest:
    manifest = orjson.loads(_verified(blobs, entry["digest"]))
    return _assemble(blobs, manifest, names, entry["digest"], lambda hexa: f"blobs/sha256/{hexa}")


def _names(entry: dict[str, Any]) -> tuple[str, ...]:
    notes = entry.get("annotations") or {}
    name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name")
    return (normalise(name),) if name else ()


def _assemble(
    blobs: Blobs,
    manifest: dict[str, Any],
    names: tuple[str, ...],
    digest: str,
    place: Callable[[str], str],
) -> Manifest:
    wanted = _hex(manifest["config"]["digest"])
    raw = _read(blobs, place(wanted))
    if hashlib.sha256(raw).hexdigest() != wanted:
        raise ValueError("its configuration does not have the digest that its manifest says")
    config = orjson.loads(raw)
    layers = tuple(
        Layer(_hex(diff_id), _opener(blobs, place(_hex(layer["digest"])), _hex(layer["digest"])))
        for diff_id, layer in zip(config["rootfs"]["diff_ids"], manifest["layers"], strict=True)
    )
    return Manifest(names, config, wanted, layers, digest)


def _opener(
    blobs: Blobs, name: str, digest: str | None
) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    # A layer's content is judged by its diff id, which is of the uncompressed tar; the digest of
    # the compressed blob says no more than that.
    if not blobs.has(name):
        raise ValueError(f"the layer {digest or name} is missing")
    return lambda: blobs.open(name)


def _verified(blobs: Blobs, digest: str) -> bytes:
    raw = _read(blobs, f"blobs/sha256/{_hex(digest)}")
    if hashlib.sha256(raw).hexdigest() != _hex(digest):
        raise ValueError(f"the blob {digest} does not have that digest")
    return raw


def _document(blobs: Blobs, name: str) -> Any:
    return orjson.loads(_read(blobs, name))


def _read(blobs: Blobs, name: str) -> bytes:
    if not blobs.has(name):
        raise ValueError(f"{name} is missing")
    with blobs.open(name) as part:
        raw = part.read(_DOCUMENT_MAX_BYTES + 1)
    if len(raw) > _DOCUMENT_MAX_BYTES:
        raise ValueError(f"{name} is larger than {_DOCUMENT_MAX_BYTES} bytes")
    return raw


def _hex(digest: str) -> str:
    algorithm, _, hexa = digest.partition(":")
    if algorithm != "sha256" or len(hexa) != 64 or not set(hexa) <= set("0123456789abcdef"):
        raise ValueError(f'"{digest}" is not a sha256 digest')
    return hexa


__all__ = [
    "DAMAGE", "Directory", "Layer", "Manifest", "architecture", "fetched", "manifests",
    "opened", "uncompressed",
]  # fmt: skip
