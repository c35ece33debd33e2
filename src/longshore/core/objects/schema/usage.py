"""The definitions of what was used (usage.longshore.io/v1), Longshore's own: what projects used over
time, and what workloads did, from which it follows what they should request."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import PROJECT_USAGE, USAGE_RECORD, WORKLOAD_USAGE, Kind
from longshore.core.objects.usage.series import COLUMNS

Definition = dict[str, Any]

_META = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1."
_QUANTITY = "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity"


def usage_definitions() -> dict[str, Definition]:
    """By name, as OpenAPI v2 has them. Built anew: the caller may keep or change it."""
    found: dict[str, Definition] = {}
    for kind, text, fields, required in (_record(), _workload(), _project()):
        metadata = _reference("ObjectMeta", "The object's metadata.")
        whole = _object(text, required, **_typed(), metadata=metadata, **fields)
        found[kind.schema] = {**whole, **_named(kind, kind.name)}
        found[f"{kind.schema}List"] = _list(kind)
    return found


_About = tuple[Kind, str, dict[str, Definition], str]


def _record() -> _About:
    part = _object(
        "Buckets of equal length.", "stepSeconds start data",
        stepSeconds=_integer("Seconds that a bucket is long: 60, 900 or 21600."),
        start=_integer("When the first bucket begins, in seconds since the epoch."),
        data=_text("The buckets, packed.", format="byte"),
    )  # fmt: skip
    spec = _object(
        "What was used.", "project series",
        project=_text("The namespace."), series=_items("The buckets.", part),
    )  # fmt: skip
    text = "What a project used in a time. Written by the server, read as ProjectUsage."
    return USAGE_RECORD, text, {"spec": spec}, "spec"


def _workload() -> _About:
    target = _object(
        "The workload.", "apiVersion kind name",
        apiVersion=_text("The version of its API."), kind=_text("Its kind."), name=_text("Its name."),
    )  # fmt: skip
    histogram = _object(
        "How often how much was used, what is younger counting more.",
        "referenceSeconds totalWeight weights",
        referenceSeconds=_number("As of when the weights are, in seconds since the epoch."),
        totalWeight=_number("All weights together."),
        weights=_map({"type": "integer", "format": "int32"}, "By number of a bucket, in proportion."),
    )  # fmt: skip
    container = _object(
        "What one container used.", "name firstSeconds lastSeconds samples cpu memory",
        name=_text("The container's name."),
        firstSeconds=_number("When it was measured first, in seconds since the epoch."),
        lastSeconds=_number("When it was measured last."),
        samples=_integer("How often it was measured."),
        cpu=histogram, memory=histogram,
    )  # fmt: skip
    fields = {
        "spec": _object("Whose use it is.", "targetRef", targetRef=target),
        "status": _object("What was seen.", "", containers=_items("By container.", container)),
    }
    text = "What a workload's containers used. Written by the server; longshore recommend reads it."
    return WORKLOAD_USAGE, text, fields, "spec"


def _project() -> _About:
    integers = {"type": "integer", "format": "int64"}
    columns = ", ".join(COLUMNS)
    fields = {
        "since": _reference("Time", "When the window begins."),
        "until": _reference("Time", "When the window ends."),
        "stepSeconds": _integer("How long a bucket is."),
        "usage": _amounts("What was used, on the average of the time in which anything was there."),
        "requests": _amounts("What was requested, on the same average."),
        "peak": _amounts("What was used in the bucket with the most."),
        "pods": _number("How many pods there were, on the same average."),
        "totals": _map(integers, f"Sums over the window: {columns}."),
        "series": _map({"type": "array", "items": integers},
                       f"The same by bucket: {columns}. Not in lists."),
    }  # fmt: skip
    text = (
        "What a project used: seconds in which anything was there; cpu in thousandths of a core, and "
        "memory and storage in MiB, each times seconds."
    )
    return PROJECT_USAGE, text, fields, "since until totals"


# ---- the words that schemas are made of


def _text(description: str, **more: str) -> Definition:
    return {"type": "string", "description": description, **more}


def _integer(description: str) -> Definition:
    return {"type": "integer", "format": "int64", "description": description}


def _number(description: str) -> Definition:
    return {"type": "number", "format": "double", "description": description}


def _amounts(description: str) -> Definition:
    return _map({"$ref": _QUANTITY}, description)


def _map(value: Definition, description: str) -> Definition:
    return {"type": "object", "additionalProperties": value, "description": description}


def _items(description: str, item: Definition) -> Definition:
    return {
        "type": "array", "description": description, "items": item,
        "x-kubernetes-list-type": "atomic",
    }  # fmt: skip


def _reference(name: str, description: str) -> Definition:
    return {"$ref": f"{_META}{name}", "description": description}


def _object(description: str, required: str, /, **fields: Definition) -> Definition:
    made: Definition = {"type": "object", "description": description, "properties": fields}
    return {**made, "required": required.split()} if required else made


def _list(kind: Kind) -> Definition:
    item = {"$ref": f"#/definitions/{kind.schema}"}
    items = {"type": "array", "items": item, "description": "The objects."}
    metadata = _reference("ListMeta", "The list's metadata.")
    made = _object(f"A list of {kind.name}.", "items", **_typed(), items=items, metadata=metadata)
    return {**made, **_named(kind, kind.list_name)}


def _typed() -> dict[str, Definition]:
    return {
        "apiVersion": _text("The version of this form of the object."),
        "kind": _text("What the object is."),
    }


def _named(kind: Kind, name: str) -> Definition:
    gvk = {"group": kind.group, "kind": name, "version": kind.version}
    return {"x-kubernetes-group-version-kind": [gvk]}
