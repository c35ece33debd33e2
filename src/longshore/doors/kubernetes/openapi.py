"""OpenAPI v2 and v3 documents of what is served, for kubectl explain, apply and validation.

Built at the first request and kept as bytes. The schemas are core/objects/schema's, the operations
operations.py's; here they become documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import orjson

from longshore.core.objects.kinds import MEASURED, PEERS, Doc, Kind, Kinds
from longshore.core.objects.schema import Schema, openapi_v2_definitions, openapi_v3_schemas
from longshore.core.objects.schema.measured import measured_definitions
from longshore.core.objects.schema.peers import peer_definitions
from longshore.doors.kubernetes import gnostic
from longshore.doors.kubernetes.dialects import V2, V3, path_item
from longshore.doors.kubernetes.discovery import groups
from longshore.doors.kubernetes.operations import DOCUMENTS, Way, group_way, version_way, ways

_BEARER = {
    "BearerToken": {
        "description": "Bearer Token authentication",
        "in": "header", "name": "authorization", "type": "apiKey",
    }
}  # fmt: skip


class OpenApi:
    """The documents of one table of kinds. Shared and immutable once built."""

    def __init__(self, kinds: Kinds, version: str) -> None:
        self._kinds = kinds
        self._info = {"title": "Kubernetes", "version": version}
        self._built: dict[str, bytes] = {}
        self._groups = groups(kinds)

    @cached_property
    def v2(self) -> bytes:
        """/openapi/v2"""
        return orjson.dumps(self._v2_document())

    @cached_property
    def v2_protobuf(self) -> bytes:
        """/openapi/v2 as older kubectl wants it."""
        return gnostic.encode(self._v2_document())

    def _v2_document(self) -> Doc:
        dialect = V2()
        every = [way for name in self._names for way in self._ways(name)]
        return {
            "swagger": "2.0",
            "info": self._info,
            "paths": {way.path: path_item(way, dialect) for way in every},
            "definitions": openapi_v2_definitions() | self._own,
            "securityDefinitions": _BEARER,
            "security": [{"BearerToken": []}],
        }

    @cached_property
    def v3_index(self) -> bytes:
        """/openapi/v3: where each document is, named by its hash."""
        paths = {name: {"serverRelativeURL": self.address(name)} for name in self._names}
        return orjson.dumps({"paths": paths})

    def address(self, name: str) -> str:
        """Where a document is for as long as it does not change."""
        digest = hashlib.sha256(self._document(name)).hexdigest().upper()
        return f"/openapi/v3/{name}?hash={digest}"

    def v3(self, name: str) -> bytes | None:
        """/openapi/v3/api/v1, /openapi/v3/apis/apps/v1, /openapi/v3/version"""
        return self._document(name) if name in self._names else None

    @cached_property
    def _names(self) -> dict[str, tuple[str, str] | None]:
        """The documents, and of which group and version they are; no version: of the group."""
        names: dict[str, tuple[str, str] | None] = dict.fromkeys(DOCUMENTS)
        for group, versions in self._groups.items():
            stem = f"apis/{group}" if group else "api"
            names[stem] = (group, "")
            names |= {f"{stem}/{version}": (group, version) for version in versions}
        return names

    def _ways(self, name: str) -> Iterator[Way]:
        """What one document is about."""
        about = self._names[name]
        if about is None:
            yield DOCUMENTS[name]
        elif not about[1]:
            yield group_way(about[0])
        else:
            yield version_way(*about)
            for kind in self._served(*about):
                yield from ways(kind)

    def _served(self, group: str, version: str) -> list[Kind]:
        return [kind for kind in self._kinds if (kind.group, kind.version) == (group, version)]

    @cached_property
    def _own(self) -> dict[str, Schema]:
        measured = any(kind in MEASURED for kind in self._kinds)
        peers = any(kind in PEERS for kind in self._kinds)
        return (measured_definitions() if measured else {}) | (peer_definitions() if peers else {})

    @cached_property
    def _schemas(self) -> dict[str, Schema]:
        return openapi_v3_schemas(self._own)

    def _document(self, name: str) -> bytes:
        built = self._built.get(name)
        if built is None:
            built = self._built[name] = orjson.dumps(self._v3_document(name))
        return built

    def _v3_document(self, name: str) -> Doc:
        dialect = V3()
        paths = {way.path: path_item(way, dialect) for way in self._ways(name)}
        about = self._names[name]
        # A kind that no operation shows whole is explained nevertheless.
        named = [kind.schema for kind in self._served(*about)] if about else []
        return {
            "openapi": "3.0.0",
            "info": self._info,
            "paths": paths,
            "components": {
                "schemas": self._reached([*named, *_references(paths)]),
                "securitySchemes": _BEARER,
            },
        }

    def _reached(self, names: Iterable[str]) -> Doc:
        """Those schemas, and all that they refer to."""
        found: Doc = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in self._schemas and name not in found:
                found[name] = self._schemas[name]
                waiting += list(_references(found[name]))
        return dict(sorted(found.items()))


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        ref = node.get("$ref")
        if isinstance(ref, str):
            yield ref.rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
