"""The words that definitions of our own kinds are made of, as OpenAPI v2 has them."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Kind

Definition = dict[str, Any]

_META = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1."
_QUANTITY = "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity"


def string(description: str, **more: str) -> Definition:
    return {"type": "string", "description": description, **more}


def quantity(description: str) -> Definition:
    return {"$ref": _QUANTITY, "description": description}


def amounts(description: str) -> Definition:
    """Quantities by the names of resources."""
    return mapping({"$ref": _QUANTITY}, description)


def mapping(value: Definition, description: str) -> Definition:
    return {"type": "object", "additionalProperties": value, "description": description}


def items(description: str, item: Definition, key: str = "") -> Definition:
    """key names the field by which items are told apart, where they are merged one by one."""
    made: Definition = {"type": "array", "description": description, "items": item}
    if not key:
        return {**made, "x-kubernetes-list-type": "atomic"}
    merged = {"x-kubernetes-patch-merge-key": key, "x-kubernetes-patch-strategy": "merge"}
    return {**made, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key], **merged}


def reference(name: str, description: str) -> Definition:
    """To a definition of meta/v1."""
    return {"$ref": f"{_META}{name}", "description": description}


def structure(description: str, required: str, /, **fields: Definition) -> Definition:
    """required: names of fields, with spaces between."""
    made: Definition = {"type": "object", "description": description, "properties": fields}
    return {**made, "required": required.split()} if required else made


def listing(kind: Kind) -> Definition:
    """The list of a kind."""
    item = {"$ref": f"#/definitions/{kind.schema}"}
    every = {"type": "array", "items": item, "description": "The objects."}
    metadata = reference("ListMeta", "The list's metadata.")
    made = structure(f"A list of {kind.name}.", "items", **typed(), items=every, metadata=metadata)
    return {**made, **named(kind, kind.list_name)}


def typed() -> dict[str, Definition]:
    return {
        "apiVersion": string("The version of this form of the object."),
        "kind": string("What the object is."),
    }


def named(kind: Kind, name: str) -> Definition:
    gvk = {"group": kind.group, "kind": name, "version": kind.version}
    return {"x-kubernetes-group-version-kind": [gvk]}
