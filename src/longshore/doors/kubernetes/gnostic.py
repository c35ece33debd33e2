"""The OpenAPI v2 document in gnostic's protobuf encoding, the only form that older kubectl takes
(up to 1.29 its apply and explain ask for nothing else). Pure.

Field numbers are those of gnostic-models' OpenAPIv2.proto; only what our document holds is written.
"""

from __future__ import annotations

from typing import Any

import orjson

MEDIA = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
# What it is called in replies: kubectl compares nothing, but upstream spells it so.
REPLY_MEDIA = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
_SCHEMA_TEXTS = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 13}
_SCHEMA_NUMBERS = {"maxLength": 11, "minLength": 12, "maxItems": 14, "minItems": 15}


def encode(document: dict[str, Any]) -> bytes:
    """openapi.v2.Document of a decoded swagger document."""
    info = document["info"]
    return b"".join((
        _text(1, document["swagger"]),
        _part(2, _text(1, info["title"]) + _text(2, info["version"])),
        _part(8, b"".join(_named(2, k, _path(v)) for k, v in document["paths"].items())),
        _part(9, _named_schemas(document["definitions"])),
    ))  # fmt: skip


def _path(item: dict[str, Any]) -> bytes:
    operations = (_part(_METHODS[m], _operation(o)) for m, o in item.items() if m in _METHODS)
    placed = (_part(9, _parameter(one)) for one in item.get("parameters", ()))
    return b"".join((*operations, *placed))


def _operation(operation: dict[str, Any]) -> bytes:
    return b"".join((
        *(_text(1, tag) for tag in operation["tags"]),
        _text(3, operation["description"]),
        _text(5, operation["operationId"]),
        *(_text(6, media) for media in operation["produces"]),
        *(_text(7, media) for media in operation["consumes"]),
        *(_part(8, _parameter(one)) for one in operation.get("parameters", ())),
        _part(9, b"".join(_named(1, c, _response(r)) for c, r in operation["responses"].items())),
        *(_text(10, scheme) for scheme in operation["schemes"]),
        _extensions(13, operation),
    ))  # fmt: skip


def _response(response: dict[str, Any]) -> bytes:
    described = _text(1, response["description"])
    if "schema" in response:
        described += _part(2, _part(1, _schema(response["schema"])))
    return _part(1, described)


def _parameter(parameter: dict[str, Any]) -> bytes:
    """ParametersItem: each place of a parameter has a message of its own."""
    name, place = parameter["name"], parameter["in"]
    required = parameter.get("required", False)
    if place == "body":
        body = _text(2, name) + _text(3, place) + _flag(4, required)
        return _part(1, _part(1, body + _part(5, _schema(parameter["schema"]))))
    head = _flag(1, required) + _text(2, place) + _text(3, parameter["description"])
    head += _text(4, name)
    if place == "path":
        return _part(1, _part(2, _part(4, head + _text(5, parameter["type"]))))
    return _part(1, _part(2, _part(3, head + _text(6, parameter["type"]))))


def _schema(schema: dict[str, Any]) -> bytes:
    parts = [_text(number, schema[key]) for key, number in _SCHEMA_TEXTS.items() if key in schema]
    parts += [
        _tag(number, 0) + _varint(schema[key])
        for key, number in _SCHEMA_NUMBERS.items()
        if key in schema
    ]
    if "default" in schema:
        parts.append(_part(5, _any(schema["default"])))
    parts += [_text(19, name) for name in schema.get("required", ())]
    parts += [_part(20, _any(value)) for value in schema.get("enum", ())]
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        parts.append(_part(21, _part(1, _schema(others))))
    elif others is not None:
        parts.append(_part(21, _flag(2, others)))
    if "type" in schema:
        parts.append(_part(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_part(23, _part(1, _schema(schema["items"]))))
    parts += [_part(24, _schema(one)) for one in schema.get("allOf", ())]
    if "properties" in schema:
        parts.append(_part(25, _named_schemas(schema["properties"])))
    return b"".join((*parts, _extensions(31, schema)))


def _named_schemas(schemas: dict[str, Any]) -> bytes:
    return b"".join(_named(1, name, _schema(one)) for name, one in schemas.items())


def _extensions(number: int, holder: dict[str, Any]) -> bytes:
    found = ((key, value) for key, value in holder.items() if key.startswith("x-"))
    return b"".join(_named(number, key, _any(value)) for key, value in found)


def _any(value: Any) -> bytes:
    """Any: gnostic keeps what it does not model as YAML, and JSON is YAML."""
    return _text(2, orjson.dumps(value).decode())


def _named(number: int, name: str, value: bytes) -> bytes:
    return _part(number, _text(1, name) + _part(2, value))


def _text(number: int, text: str) -> bytes:
    return _part(number, text.encode())


def _flag(number: int, value: bool) -> bytes:
    return _tag(number, 0) + b"\x01" if value else b""


def _part(number: int, data: bytes) -> bytes:
    return _tag(number, 2) + _varint(len(data)) + data


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
