"""Write a directory of files so that readers see all of the old ones or all of the new ones.

The layout is upstream's atomic writer's (pkg/volume/util/atomic_writer.go), which programs that
watch their configuration rely on: NAME -> ..data/NAME, ..data -> ..TIMESTAMP, swapped by rename.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from longshore.machinery.kubelet.volumes.plan import File, safe_path

_DATA = "..data"


def write_files(directory: Path, files: Mapping[str, File], stamp: str, gid: int | None) -> None:
    """Make directory hold exactly these files. stamp names this version; it must be new."""
    fresh = directory / f"..{stamp}"
    fresh.mkdir(mode=0o755)
    for path, file in files.items():
        assert safe_path(path), f"a file would leave its volume: {path}"
        _write_one(fresh, path, file, gid)
    old = os.readlink(directory / _DATA) if (directory / _DATA).is_symlink() else ""
    swap = directory / f"{_DATA}_tmp"
    swap.unlink(missing_ok=True)
    swap.symlink_to(fresh.name)
    swap.rename(directory / _DATA)
    _link_tops(directory, {path.partition("/")[0] for path in files})
    if old and old != fresh.name:
        shutil.rmtree(directory / old, ignore_errors=True)


def _write_one(fresh: Path, path: str, file: File, gid: int | None) -> None:
    target = fresh / path
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(file.content)
        if gid is not None:
            os.fchown(handle, -1, gid)
        os.fchmod(handle, file.mode)


def _link_tops(directory: Path, wanted: set[str]) -> None:
    present = {e.name for e in os.scandir(directory) if not e.name.startswith("..")}
    for name in wanted - present:
        (directory / name).symlink_to(f"{_DATA}/{name}")
    for name in present - wanted:
        (directory / name).unlink()
