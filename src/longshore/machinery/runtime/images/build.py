"""Makes a docker-archive tar from files: how demonstrations and tests get images without a registry.

The same input gives the same bytes, so an image keeps its id from one build to the next.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import orjson

from longshore.machinery.runtime.images.archive import architecture
from longshore.machinery.runtime.images.reference import normalise

# Entries of a mapping are executable if their path says that they are programs.
_PROGRAM_DIRECTORIES = ("bin/", "sbin/", "usr/bin/", "usr/sbin/", "usr/local/bin/")


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image's configuration says. links maps a path in the image to what it points to."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    env: Sequence[str] = ()
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""
    links: Mapping[str, str] | None = None


def build_image(
    out: Path,
    names: Sequence[str],
    config: ImageConfig,
    *,
    tree: Path | None = None,
    files: Mapping[str, Path | bytes] | None = None,
) -> str:
    """Write the tar; the image's id (hex). tree becomes the root directory as it is, owned by root;
    files adds single files by their path in the image. Raises OSError and ValueError (names)."""
    with TemporaryFile() as layer:
        with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            _add_tree(tar, tree)
            _add_files(tar, files or {})
            _add_links(tar, config.links or {})
        diff_id = _digest(layer)
        document = orjson.dumps(_config_document(config, diff_id))
        image_id = hashlib.sha256(document).hexdigest()
        manifest = [{
            "Config": f"{image_id}.json",
            "RepoTags": [normalise(name) for name in names],
            "Layers": [f"{diff_id}/layer.tar"],
        }]  # fmt: skip
        with tarfile.open(out, "w") as archive:
            _add_bytes(archive, f"{image_id}.json", document)
            entry = tarfile.TarInfo(f"{diff_id}/layer.tar")
            entry.size = layer.seek(0, os.SEEK_END)
            layer.seek(0)
            archive.addfile(entry, layer)
            _add_bytes(archive, "manifest.json", orjson.dumps(manifest))
    return image_id


def _config_document(config: ImageConfig, diff_id: str) -> dict[str, object]:
    settings = {
        "Entrypoint": list(config.entrypoint) or None,
        "Cmd": list(config.command) or None,
        "Env": list(config.env),
        "WorkingDir": config.working_dir,
        "User": config.user,
        "StopSignal": config.stop_signal,
    }
    return {
        "architecture": architecture(),
        "os": "linux",
        "config": {key: value for key, value in settings.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
        "created": "1970-01-01T00:00:00Z",
    }


def _add_tree(tar: tarfile.TarFile, tree: Path | None) -> None:
    if tree is None:
        return
    for path in _walk(tree):
        entry = tar.gettarinfo(path, arcname=str(path.relative_to(tree)))
        _anonymous(entry)
        if entry.isreg():
            with path.open("rb") as content:
                tar.addfile(entry, content)
        else:
            tar.addfile(entry)


def _walk(tree: Path) -> Iterable[Path]:
    for directory, names, files in os.walk(tree):
        names.sort()
        yield from (Path(directory, name) for name in sorted([*names, *files]))


def _add_files(tar: tarfile.TarFile, files: Mapping[str, Path | bytes]) -> None:
    for name, source in sorted(files.items()):
        path = name.lstrip("/")
        content = source if isinstance(source, bytes) else source.read_bytes()
        program = path.startswith(_PROGRAM_DIRECTORIES) or (
            isinstance(source, Path) and os.access(source, os.X_OK)
        )
        _add_bytes(tar, path, content, 0o755 if program else 0o644)


def _add_links(tar: tarfile.TarFile, links: Mapping[str, str]) -> None:
    for name, target in sorted(links.items()):
        entry = tarfile.TarInfo(name.lstrip("/"))
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        tar.addfile(entry)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _anonymous(entry: tarfile.TarInfo) -> None:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    content = hashlib.sha256()
    while piece := file.read(1 << 20):
        content.update(piece)
    return content.hexdigest()
