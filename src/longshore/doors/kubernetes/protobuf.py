"""Request bodies in Kubernetes' protobuf encoding, as some commands of newer kubectl send them.

Read only: answers are JSON, which every client that sends protobuf also accepts. Which number is
which field is in protobuf.json (tools/build_protobuf.py); the envelope and the few types whose
JSON differs from their fields (Time, Quantity, IntOrString) are here.
Source of the envelope: apimachinery/pkg/runtime/serializer/protobuf.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import orjson

from longshore.base.clock import rfc3339, rfc3339_micro
from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import Doc

MEDIA = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
# Deeper than any object of Kubernetes is.
_DEPTH_MAX = 64

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_TIME, _MICRO_TIME = _META + "Time", _META + "MicroTime"

Fields: TypeAlias = dict[int, tuple[str, str, str]]
"""A message: for each number the field's name, type and form."""
Wire: TypeAlias = int | bytes


class _Malformed(Exception):
    """These bytes are not what they say they are."""


def decode(body: bytes, schema_of: Callable[[str, str], str]) -> Doc:
    """The object in a body. schema_of gives a definition's name for an apiVersion and kind, empty
    for one that is not known. Raises BadRequest."""
    if not body.startswith(MAGIC):
        raise BadRequest("the body is not in Kubernetes' protobuf encoding")
    try:
        envelope = dict(_wire_fields(memoryview(body)[len(MAGIC) :]))
        type_meta = dict(_wire_fields(memoryview(_bytes(envelope.get(1, b"")))))
        api_version, kind = _text(type_meta.get(1, b"")), _text(type_meta.get(2, b""))
        schema = schema_of(api_version, kind)
        if not schema:
            raise BadRequest(f'no kind "{kind}" of version "{api_version}" is served in protobuf')
        doc = _message(memoryview(_bytes(envelope.get(2, b""))), schema, 0)
    except (_Malformed, UnicodeDecodeError, struct.error, OverflowError, ValueError) as error:
        raise BadRequest(f"the body is not valid protobuf: {error}") from error
    return {"apiVersion": api_version, "kind": kind, **doc}


@cache
def _fields(message: str) -> Fields:
    found = _table().get(message)
    if found is None:
        raise _Malformed(f"{message} is not known")
    return {int(number): (name, kind, form) for number, (name, kind, form) in found.items()}


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    text = files("longshore.doors.kubernetes").joinpath("protobuf.json").read_bytes()
    table: dict[str, dict[str, list[str]]] = orjson.loads(text)
    return table


def _message(data: memoryview, message: str, depth: int) -> Doc:
    if depth > _DEPTH_MAX:
        raise _Malformed("nested too deeply")
    fields, doc = _fields(message), Doc()
    for number, wire in _wire_fields(data):
        field = fields.get(number)
        if field is None:
            continue  # a newer client's field: JSON would report it, protobuf cannot name it
        name, kind, form = field
        if form == "map":
            key, value = _entry(wire, kind, depth)
            doc.setdefault(name, {})[key] = value
            continue
        value = _value(wire, kind, depth)
        if form == "repeated":
            doc.setdefault(name, []).append(value)
        elif form == "inline":
            doc.update(value)
        elif (form == "pointer" and value is not None) or not _is_zero(value):
            doc[name] = value
    return doc


def _is_zero(value: Any) -> bool:
    return value is None or value is False or value in ("", 0, {})


def _entry(wire: Wire, kind: str, depth: int) -> tuple[str, Any]:
    """A map's entry: key is 1, value is 2; either is left out when empty."""
    parts = dict(_wire_fields(memoryview(_bytes(wire))))
    return _text(parts.get(1, b"")), _value(parts.get(2, b""), kind, depth)


def _value(wire: Wire, kind: str, depth: int) -> Any:
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        return scalar(wire)
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(dict(_wire_fields(memoryview(_bytes(wire)))))
    return _message(memoryview(_bytes(wire)), kind, depth + 1)


# --- types whose JSON is not their fields ---


def _time(parts: dict[int, Wire]) -> str | None:
    seconds = _integer(parts.get(1, 0))
    return rfc3339(seconds) if seconds else None


def _micro_time(parts: dict[int, Wire]) -> str | None:
    seconds, nanos = _integer(parts.get(1, 0)), _integer(parts.get(2, 0))
    return rfc3339_micro(seconds + nanos / 1e9) if seconds else None


def _int_or_string(parts: dict[int, Wire]) -> int | str:
    is_text = _integer(parts.get(1, 0)) == 1
    return _text(parts.get(3, b"")) if is_text else _integer(parts.get(2, 0))


def _quantity(parts: dict[int, Wire]) -> str:
    return _text(parts.get(1, b"")) or "0"


def _raw_json(parts: dict[int, Wire]) -> Any:
    raw = _bytes(parts.get(1, b""))
    return orjson.loads(raw) if raw else None


_SPECIAL: dict[str, Callable[[dict[int, Wire]], Any]] = {
    _TIME: _time,
    _MICRO_TIME: _micro_time,
    _META + "FieldsV1": _raw_json,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": _raw_json,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _quantity,
}


# --- scalars ---


def _bytes(wire: Wire) -> bytes:
    if not isinstance(wire, bytes):
        raise _Malformed("a number where bytes belong")
    return wire


def _text(wire: Wire) -> str:
    return _bytes(wire).decode()


def _integer(wire: Wire) -> int:
    if not isinstance(wire, int):
        # A map's value that was left out because it is zero comes as no bytes.
        if wire == b"":
            return 0
        raise _Malformed("bytes where a number belongs")
    return wire - (1 << 64) if wire >= 1 << 63 else wire


def _double(wire: Wire) -> float:
    (value,) = struct.unpack("<d", _bytes(wire))
    return float(value)


_SCALARS: dict[str, Callable[[Wire], Any]] = {
    "string": _text,
    "bytes": lambda wire: base64.b64encode(_bytes(wire)).decode(),
    "bool": lambda wire: _integer(wire) != 0,
    "int32": _integer,
    "int64": _integer,
    "double": _double,
}


# --- the wire itself ---


def _wire_fields(data: memoryview) -> Iterator[tuple[int, Wire]]:
    """Numbers and values: whole numbers for varints, bytes for everything else."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire_type == 2:
            size, at = _varint(data, at)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise _Malformed(f"wire type {wire_type} is not in use")
        if size > end - at:
            raise _Malformed("cut short")
        yield number, bytes(data[at : at + size])
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise _Malformed("a number that does not end")
