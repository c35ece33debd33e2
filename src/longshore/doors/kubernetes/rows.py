"""Rows of Tables straight from stored objects, for JSON. `kubectl get` is asked again and again about
objects that have not changed: what was read off those seen last is kept, their text is never decoded
twice, and of metadata the stored bytes are sent. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from longshore.base.limits import ROWS_MAX
from longshore.core.objects.columns import printer
from longshore.core.objects.columns.form import told
from longshore.core.objects.kinds import Doc
from longshore.core.watch.stored import Stored, metadata_size

_PARTIAL = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":%b}'


class _Read(NamedTuple):
    """What a row shows of an object; metadata is its size, see Stored.metadata()."""

    cells: list[Any]
    metadata: int


def rows(include: str, now: float) -> Callable[[Stored], Doc]:
    """Makes an object's row: include is Metadata, Object or None, now is for ages."""
    if include == "None":
        return lambda stored: {"cells": told(_read(stored).cells, now)}
    shown = _whole if include == "Object" else _partial

    def row(stored: Stored) -> Doc:
        read = _read(stored)
        return {"cells": told(read.cells, now), "object": orjson.Fragment(shown(stored, read))}

    return row


def _whole(stored: Stored, read: _Read) -> bytes:
    return stored.raw


def _partial(stored: Stored, read: _Read) -> bytes:
    return _PARTIAL % stored.metadata(read.metadata)


def _read(stored: Stored) -> _Read:
    """What is converted from another version is an object of its own each time, and not kept."""
    return _kept(stored) if stored.kind.hub is None else _fresh(stored)


def _fresh(stored: Stored) -> _Read:
    doc = stored.glance()
    return _Read(printer(stored.kind).cells(doc), metadata_size(doc))


_kept = lru_cache(ROWS_MAX)(_fresh)
