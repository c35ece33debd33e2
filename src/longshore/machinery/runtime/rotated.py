"""Log files that were rotated: how they are called, and which there are.

Beside LOG there are LOG.20261122-053000.000000 and, once they are packed, ….gz: by their names, the oldest
first. (pkg/kubelet/logs, container_log_manager.go, has whole seconds; a busy container fills more
than one file in one.)
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

PACKED = ".gz"
_UNFINISHED = ".tmp"
_STAMP = re.compile(r"\.\d{8}-\d{6}\.\d{6}(\.gz)?")


def rotated_name(log: str, at: float) -> str:
    """What the file LOG is called that is rotated at that time (seconds since the epoch)."""
    return f"{log}.{datetime.fromtimestamp(at, UTC):%Y%m%d-%H%M%S.%f}"


def in_order(log: str, names: Iterable[str]) -> list[str]:
    """Those of the names in LOG's directory that are its rotated files, the oldest first. One that has been packed
    counts once."""
    ours = [one for one in names if one.startswith(log) and _STAMP.fullmatch(one[len(log) :])]
    best = {one.removesuffix(PACKED): one for one in sorted(ours)}
    return [name for _, name in sorted(best.items())]


def rotated_of(log: Path) -> list[Path]:
    """The rotated files of a log that are there, the oldest first."""
    try:
        names = [entry.name for entry in log.parent.iterdir()]
    except FileNotFoundError:
        return []
    return [log.parent / name for name in in_order(log.name, names)]


def pack(path: Path) -> None:
    """Compress a rotated file. Whoever dies meanwhile leaves it as it was. Blocks."""
    packed, unfinished = Path(f"{path}{PACKED}"), Path(f"{path}{_UNFINISHED}")
    with path.open("rb") as file, gzip.open(unfinished, "wb", compresslevel=1) as out:
        shutil.copyfileobj(file, out, 256 * 1024)
    unfinished.rename(packed)
    path.unlink()


def delete_log(log: Path) -> None:
    """A log and all its rotated files, whatever their state."""
    for path in log.parent.glob(f"{log.name}.*"):
        path.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
