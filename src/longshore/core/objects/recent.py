"""What was found good lately need not be looked at again.

Pods of one workload differ in their names and share their spec, and a status update repeats the
spec of the object it is about. To encode a spec takes a tenth of the time that its checks take, so
the pure checks of specs first ask whether these very bytes passed before.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import orjson

_T = TypeVar("_T")

# Together at most 4 MB for each user of a Recent: a pod's spec has about 2 KB.
_ENTRIES_MAX, _ENTRY_MAX_BYTES = 512, 8192
# Refuse what is no JSON but would be written as some: a YAML date is not the string of that date.
_STRICT = (
    orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
)


def key_of(value: Any) -> bytes:
    """The bytes that stand for a value; empty for one that is not kept."""
    try:
        key = orjson.dumps(value, option=_STRICT)
    except TypeError:
        return b""
    return key if len(key) <= _ENTRY_MAX_BYTES else b""


class Recent:
    """The keys of the last values that were good, oldest forgotten first."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[bytes, None] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, key: bytes) -> None:
        if not key:
            return
        if len(self._keys) >= _ENTRIES_MAX:
            del self._keys[next(iter(self._keys))]
        self._keys[bytes(memoryview(key))] = None  # a copy: the encoder's buffer is twice as large


class Memo(Generic[_T]):
    """What was made of the last values, by their keys, oldest forgotten first."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: dict[bytes, _T] = {}

    def get(self, key: bytes) -> _T | None:
        return self._made.get(key)

    def add(self, key: bytes, made: _T) -> None:
        if not key:
            return
        if len(self._made) >= _ENTRIES_MAX:
            del self._made[next(iter(self._made))]
        self._made[bytes(memoryview(key))] = made
