"""Read the CDI specifications of a node from its directories."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from longshore.machinery.kubelet.devices.cdi.plan import Specification, specification
from longshore.machinery.kubelet.devices.model import NoSuchDevice

_log = logging.getLogger("longshore.kubelet.devices")
_SUFFIXES = (".json", ".yaml", ".yml")
_SIZE_MAX_BYTES = 16 * 1024 * 1024


def specifications(directories: Sequence[Path]) -> list[Specification]:
    """All that can be read; what cannot is told in the node's log. Blocking: read anew each time, for
    drivers write them as they prepare devices."""
    return [one for number, path in enumerate(directories) for one in _in(path, number)]


def _in(directory: Path, priority: int) -> Iterator[Specification]:
    try:
        files = sorted(path for path in directory.iterdir() if path.suffix in _SUFFIXES)
    except OSError:
        return
    for path in files:
        try:
            yield specification(_read(path), str(path), priority)
        except (OSError, ValueError, NoSuchDevice) as error:
            _log.warning("%s: %s", path, error)


def _read(path: Path) -> dict[str, Any]:
    """Raises OSError or ValueError."""
    if path.stat().st_size > _SIZE_MAX_BYTES:
        raise ValueError(f"more than {_SIZE_MAX_BYTES} bytes")
    text = path.read_bytes()
    doc = orjson.loads(text) if path.suffix == ".json" else _yaml(text)
    if not isinstance(doc, dict):
        raise ValueError("not an object")
    return doc


def _yaml(text: bytes) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
