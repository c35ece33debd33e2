"""Fields that a JSON text gives twice, which a decoder silently takes the last of.

Asked for with fieldValidation=Strict or Warn, so on nearly every write: the usual answer (none) is
found by counting, and only a suspicious text is scanned.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

_COLON_ESCAPE = b"\\u003"  # of \u003a, which hides a colon from the count


def duplicate_fields(raw: bytes, doc: Any) -> list[str]:
    """Sentences such as 'duplicate field "spec.replicas"'. doc is raw, decoded and unchanged."""
    # Every key has one colon, and the colons inside strings are in both texts: a lost key shows.
    if raw.count(b":") == orjson.dumps(doc).count(b":") and _COLON_ESCAPE not in raw:
        return []
    return in_order(raw, ())


def in_order(raw: bytes, unknown: Iterable[str]) -> list[str]:
    """Unknown fields (sentences such as 'unknown field "spec.foo"') and doubled ones, as a decoder
    meets them in the JSON text. It looks no further into an unknown field, nor for its double."""
    found: list[str] = []
    _scan(json.loads(raw, object_pairs_hook=_Pairs), "", found, frozenset(unknown))
    return list(dict.fromkeys(found))


class _Pairs(list[tuple[str, Any]]):
    """An object's fields in order, doubles kept."""


def _scan(node: Any, path: str, found: list[str], unknown: frozenset[str]) -> None:
    if isinstance(node, _Pairs):
        _scan_fields(node, path, found, unknown)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _scan(value, f"{path}[{index}]", found, unknown)


def _scan_fields(fields: _Pairs, path: str, found: list[str], unknown: frozenset[str]) -> None:
    seen: set[str] = set()
    for key, value in fields:
        at = f"{path}.{key}" if path else key
        stranger = f'unknown field "{at}"'
        if stranger in unknown:
            found.append(stranger)
            continue
        if key in seen:
            found.append(f'duplicate field "{at}"')
        seen.add(key)
        _scan(value, at, found, unknown)
