"""OpenAPI v2 and v3 documents of what is served, for kubectl explain, apply and validation.

Built at the first request and kept as bytes. The schemas are core/objects/schema's; here are the
paths, with what clients look for in them: the kind of each, and the fieldValidation parameter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import orjson

from longshore.core.objects.kinds import Doc, Kind, Kinds
from longshore.core.objects.schema import openapi_v2_definitions, openapi_v3_schemas
from longshore.doors.kubernetes import gnostic
from longshore.doors.kubernetes.discovery import groups

_V3_REF = "#/components/schemas/"
_STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_LIST_PARAMETERS = (
    "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "timeoutSeconds", "watch",
)  # fmt: skip
_PATCHES = (
    "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)  # fmt: skip


class OpenApi:
    """The documents of one table of kinds. Shared and immutable once built."""

    def __init__(self, kinds: Kinds, version: str) -> None:
        self._kinds = kinds
        self._info = {"title": "Kubernetes", "version": version}
        self._built: dict[str, bytes] = {}

    @cached_property
    def v2(self) -> bytes:
        """/openapi/v2"""
        return orjson.dumps(self._v2_document())

    @cached_property
    def v2_protobuf(self) -> bytes:
        """/openapi/v2 as older kubectl wants it."""
        return gnostic.encode(self._v2_document())

    def _v2_document(self) -> Doc:
        paths: Doc = {}
        for kind in self._kinds:
            paths.update(_paths(kind, v3=False))
        return {
            "swagger": "2.0",
            "info": self._info,
            "paths": paths,
            "definitions": openapi_v2_definitions(),
        }

    @cached_property
    def v3_index(self) -> bytes:
        """/openapi/v3: where each group version's document is, named by its hash."""
        paths = {}
        for name in self._names():
            digest = hashlib.sha256(self._document(name)).hexdigest().upper()
            paths[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"}
        return orjson.dumps({"paths": paths})

    def v3(self, name: str) -> bytes | None:
        """/openapi/v3/api/v1, /openapi/v3/apis/apps/v1"""
        return self._document(name) if name in self._names() else None

    def _names(self) -> list[str]:
        return [
            f"apis/{group}/{version}" if group else f"api/{version}"
            for group, versions in groups(self._kinds).items()
            for version in versions
        ]

    @cached_property
    def _schemas(self) -> dict[str, Any]:
        return openapi_v3_schemas()

    def _document(self, name: str) -> bytes:
        built = self._built.get(name)
        if built is None:
            built = self._built[name] = orjson.dumps(self._v3(name))
        return built

    def _v3(self, name: str) -> Doc:
        prefix = f"/{name}"
        served = [kind for kind in self._kinds if _root(kind) == prefix]
        paths: Doc = {}
        for kind in served:
            paths.update(_paths(kind, v3=True))
        return {
            "openapi": "3.0.0",
            "info": self._info,
            "paths": paths,
            "components": {"schemas": self._reached([*(k.schema for k in served), _STATUS])},
        }

    def _reached(self, names: list[str]) -> Doc:
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


def _root(kind: Kind) -> str:
    return f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"


def _paths(kind: Kind, *, v3: bool) -> Iterator[tuple[str, Doc]]:
    make = _Operations(kind, v3)
    root = _root(kind)
    inside = f"{root}/namespaces/{{namespace}}" if kind.namespaced else root
    collection = f"{inside}/{kind.plural}"
    if kind.namespaced and "list" in kind.verbs:
        yield f"{root}/{kind.plural}", {"get": make("list", _LIST_PARAMETERS)}
    yield collection, make.collection()
    if "get" in kind.verbs:
        yield f"{collection}/{{name}}", make.item()
    for subresource in kind.subresources:
        if subresource in ("status", "scale"):
            yield f"{collection}/{{name}}/{subresource}", make.item(subresource)


class _Operations:
    """Makes the operations of one kind, in either version of OpenAPI."""

    def __init__(self, kind: Kind, v3: bool) -> None:
        self._kind = kind
        self._v3 = v3
        self._gvk = {"group": kind.group, "version": kind.version, "kind": kind.name}

    def collection(self) -> Doc:
        operations: Doc = {
            "get": self("list", _LIST_PARAMETERS),
            "post": self("post", _WRITE_PARAMETERS, body=("*/*",)),
            "delete": self("deletecollection", _LIST_PARAMETERS),
        }
        verbs = {"get": "list", "post": "create", "delete": "deletecollection"}
        return self._allowed(operations, verbs) | {"parameters": self.placed(name=False)}

    def _allowed(self, operations: Doc, verbs: dict[str, str]) -> Doc:
        """Of these operations those whose verb the kind has."""
        return {m: one for m, one in operations.items() if verbs[m] in self._kind.verbs}

    def item(self, subresource: str = "") -> Doc:
        operations: Doc = {
            "get": self("get", (), subresource=subresource),
            "put": self("put", _WRITE_PARAMETERS, body=("*/*",), subresource=subresource),
            "patch": self(
                "patch", (*_WRITE_PARAMETERS, "force"), body=_PATCHES, subresource=subresource
            ),
        }
        if not subresource:
            operations["delete"] = self("delete", ("dryRun", "gracePeriodSeconds"))
            verbs = {"get": "get", "put": "update", "patch": "patch", "delete": "delete"}
            operations = self._allowed(operations, verbs)
        return operations | {"parameters": self.placed(name=True)}

    def placed(self, *, name: bool) -> list[Doc]:
        names = [*(["namespace"] if self._kind.namespaced else []), *(["name"] if name else [])]
        return [self._parameter(one, "path") for one in names]

    def __call__(
        self,
        action: str,
        parameters: tuple[str, ...],
        *,
        body: tuple[str, ...] = (),
        subresource: str = "",
    ) -> Doc:
        kind = self._kind
        gvk = self._gvk
        if subresource == "scale":
            gvk = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        operation: Doc = {
            "tags": [kind.api_version.replace("/", "_")],
            "operationId": f"{action}{kind.api_version.replace('/', '')}{kind.name}{subresource}",
            "parameters": [self._parameter(one, "query") for one in parameters],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk,
        }
        if self._v3:
            self._complete_v3(operation, action, body)
        else:
            self._complete_v2(operation, action, body)
        return operation

    def _complete_v3(self, operation: Doc, action: str, body: tuple[str, ...]) -> None:
        schema = {"$ref": _V3_REF + self._kind.schema}
        if body:
            wanted = {"type": "object"} if action == "patch" else schema
            operation["requestBody"] = {
                "content": {media: {"schema": wanted} for media in body},
                "required": True,
            }
        shown: Doc = {"description": "OK"}
        if action in ("get", "post", "put", "patch"):
            shown["content"] = {"application/json": {"schema": schema}}
        operation["responses"] = {"200": shown}

    def _complete_v2(self, operation: Doc, action: str, body: tuple[str, ...]) -> None:
        schema: Doc = {"$ref": f"#/definitions/{self._kind.schema}"}
        operation["schemes"] = ["https"]
        operation["produces"] = ["application/json", "application/yaml"]
        operation["consumes"] = list(body) or ["*/*"]
        if body:
            wanted = {"type": "object"} if action == "patch" else schema
            operation["parameters"].append(
                {"name": "body", "in": "body", "required": True, "schema": wanted}
            )
        shown: Doc = {"description": "OK"}
        if action in ("get", "post", "put", "patch"):
            shown["schema"] = schema
        operation["responses"] = {"200": shown}

    def _parameter(self, name: str, place: str) -> Doc:
        kinds = {"limit": "integer", "timeoutSeconds": "integer", "gracePeriodSeconds": "integer",
                 "watch": "boolean", "force": "boolean"}  # fmt: skip
        schema = {"type": kinds.get(name, "string"), "uniqueItems": True}
        parameter: Doc = {"name": name, "in": place}
        if place == "path":
            parameter["required"] = True
        return parameter | ({"schema": schema} if self._v3 else schema)
