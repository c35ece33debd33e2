"""The definitions of what was used (usage.longshore.io/v1), Longshore's own: what projects used over
time, and what workloads did, from which it follows what they should request."""

from __future__ import annotations

from longshore.core.objects.kinds import PROJECT_USAGE, USAGE_RECORD, WORKLOAD_USAGE, Kind
from longshore.core.objects.schema.forms import (
    Definition,
    amounts,
    items,
    listing,
    mapping,
    named,
    reference,
    string,
    structure,
    typed,
)
from longshore.core.objects.usage.series import COLUMNS


def usage_definitions() -> dict[str, Definition]:
    """By name, as OpenAPI v2 has them. Built anew: the caller may keep or change it."""
    found: dict[str, Definition] = {}
    for kind, text, fields, required in (_record(), _workload(), _project()):
        metadata = reference("ObjectMeta", "The object's metadata.")
        whole = structure(text, required, **typed(), metadata=metadata, **fields)
        found[kind.schema] = {**whole, **named(kind, kind.name)}
        found[f"{kind.schema}List"] = listing(kind)
    return found


_About = tuple[Kind, str, dict[str, Definition], str]


def _record() -> _About:
    part = structure(
        "Buckets of equal length.", "stepSeconds start data",
        stepSeconds=_integer("Seconds that a bucket is long: 60, 900 or 21600."),
        start=_integer("When the first bucket begins, in seconds since the epoch."),
        data=string("The buckets, packed.", format="byte"),
    )  # fmt: skip
    spec = structure(
        "What was used.", "project series",
        project=string("The namespace."), series=items("The buckets.", part),
    )  # fmt: skip
    text = "What a project used in a time. Written by the server, read as ProjectUsage."
    return USAGE_RECORD, text, {"spec": spec}, "spec"


def _workload() -> _About:
    target = structure(
        "The workload.", "apiVersion kind name",
        apiVersion=string("The version of its API."), kind=string("Its kind."), name=string("Its name."),
    )  # fmt: skip
    histogram = structure(
        "How often how much was used, what is younger counting more.",
        "referenceSeconds totalWeight weights",
        referenceSeconds=_number("As of when the weights are, in seconds since the epoch."),
        totalWeight=_number("All weights together."),
        weights=mapping({"type": "integer", "format": "int32"}, "By number of a bucket, in proportion."),
    )  # fmt: skip
    container = structure(
        "What one container used.", "name firstSeconds lastSeconds samples cpu memory",
        name=string("The container's name."),
        firstSeconds=_number("When it was measured first, in seconds since the epoch."),
        lastSeconds=_number("When it was measured last."),
        samples=_integer("How often it was measured."),
        cpu=histogram, memory=histogram,
    )  # fmt: skip
    fields = {
        "spec": structure("Whose use it is.", "targetRef", targetRef=target),
        "status": structure("What was seen.", "", containers=items("By container.", container)),
    }
    text = "What a workload's containers used. Written by the server; longshore recommend reads it."
    return WORKLOAD_USAGE, text, fields, "spec"


def _project() -> _About:
    integers = {"type": "integer", "format": "int64"}
    columns = ", ".join(COLUMNS)
    fields = {
        "since": reference("Time", "When the window begins."),
        "until": reference("Time", "When the window ends."),
        "stepSeconds": _integer("How long a bucket is."),
        "usage": amounts("What was used, on the average of the time in which anything was there."),
        "requests": amounts("What was requested, on the same average."),
        "peak": amounts("What was used in the bucket with the most."),
        "pods": _number("How many pods there were, on the same average."),
        "totals": mapping(integers, f"Sums over the window: {columns}."),
        "series": mapping({"type": "array", "items": integers},
                       f"The same by bucket: {columns}. Not in lists."),
    }  # fmt: skip
    text = (
        "What a project used: seconds in which anything was there; cpu in thousandths of a core, and "
        "memory and storage in MiB, each times seconds."
    )
    return PROJECT_USAGE, text, fields, "since until totals"


# ---- the words that schemas are made of


def _integer(description: str) -> Definition:
    return {"type": "integer", "format": "int64", "description": description}


def _number(description: str) -> Definition:
    return {"type": "number", "format": "double", "description": description}
