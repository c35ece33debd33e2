"""The OpenAPI definitions of everything that is served, from the packaged file.

Read by the checker, by strategic merge and by the doors that publish OpenAPI documents. The file
is made by tools/build_definitions.py, whose docstring says what is in it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import orjson

Schema: TypeAlias = dict[str, Any]
"""One OpenAPI definition, or the schema of one field. Shared: read only."""

REF = "#/definitions/"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"
_GZIP = 31  # zlib's window bits for one gzip member


@cache
def definitions() -> dict[str, Schema]:
    """Every definition by name, plain OpenAPI v2 without descriptions; references say
    "#/definitions/NAME". Raises FileNotFoundError if the packaged file was not built."""
    return _decode(_members()[0])


@cache
def descriptions() -> dict[str, dict[str, str]]:
    """For each definition, the text of each of its fields, and its own under ""."""
    return _decode(_members()[1])


def definition(name: str) -> Schema:
    """One definition. KeyError if nothing served has that name."""
    return definitions()[name]


def referred(schema: Schema) -> str:
    """The name of the definition that a schema refers to, or ""."""
    ref = schema.get("$ref")
    return ref[len(REF) :] if ref else ""


def openapi_v2_definitions() -> dict[str, Schema]:
    """What /openapi/v2 publishes as "definitions". Built anew: the caller may keep or change it."""
    return {name: _described(name, schema) for name, schema in definitions().items()}


def openapi_v3_schemas(more: Mapping[str, Schema] | None = None) -> dict[str, Schema]:
    """What /openapi/v3/... publishes as "components.schemas", and more of the same in the form of
    v2. Built anew."""
    described = {n: _described(n, s) for n, s in definitions().items()} | dict(more or {})
    schemas = {n: _as_v3(s) for n, s in described.items()}
    for name, plain in ((QUANTITY, "number"), (INT_OR_STRING, "integer")):
        schema = {key: value for key, value in schemas[name].items() if key != "type"}
        schemas[name] = {**schema, "oneOf": [{"type": "string"}, {"type": plain}]}
    return schemas


@cache
def _members() -> tuple[bytes, bytes]:
    """The two gzip members, compressed."""
    # By path: importlib.resources would cost more than all the decoding (10 ms of imports).
    whole = (Path(__file__).parent.parent / "definitions.json.gz").read_bytes()
    first = zlib.decompressobj(_GZIP)
    first.decompress(whole)
    return whole[: len(whole) - len(first.unused_data)], first.unused_data


def _decode(member: bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = orjson.loads(zlib.decompress(member, _GZIP))
    return decoded


def _described(name: str, schema: Schema) -> Schema:
    texts = descriptions().get(name, {})
    own = {"description": texts[""]} if "" in texts else {}
    fields = schema.get("properties")
    if fields is None:
        return {**own, **schema}
    described = {
        field: {"description": texts[field], **one} if field in texts else one
        for field, one in fields.items()
    }
    return {**own, **schema, "properties": described}


def _as_v3(node: Any) -> Any:
    """References renamed. A reference with anything beside it must be wrapped in OpenAPI v3.0,
    where siblings of $ref are ignored."""
    if isinstance(node, list):
        return [_as_v3(item) for item in node]
    if not isinstance(node, dict):
        return node
    if not isinstance(node.get("$ref"), str):
        return {key: _as_v3(value) for key, value in node.items()}
    ref = {"$ref": "#/components/schemas/" + referred(node)}
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return {**beside, "allOf": [ref]} if beside else ref
