"""metadata.managedFields: who set which field, and what follows from it.

One entry for each manager, operation, version and subresource. Source: KEP-555, apimachinery
pkg/util/managedfields/internal, structured-merge-diff/v6/merge/update.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from longshore.core.objects.apply.fields import (
    MEMBER,
    Fields,
    difference,
    intersection,
    is_well_formed,
    paths,
    union,
)
from longshore.core.objects.apply.shapes import Shape
from longshore.core.objects.apply.walks import Changes, compare, field_set, merge, prune
from longshore.core.objects.errors import Cause, Conflict
from longshore.core.objects.kinds import Doc

APPLY, UPDATE = "Apply", "Update"
BEFORE_FIRST_APPLY, ANCIENT = "before-first-apply", "ancient-changes"
UPDATERS_MAX = 10

# What of metadata the system writes, so that nobody owns it (stripmeta.go).
SYSTEM_FIELDS = frozenset((
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields",
    "resourceVersion",
))  # fmt: skip
_UNOWNED: Fields = {
    "f:apiVersion": MEMBER,
    "f:kind": MEMBER,
    "f:metadata": {".": MEMBER, **{f"f:{name}": MEMBER for name in SYSTEM_FIELDS}},
}


class Writer(NamedTuple):
    """Who writes: manager as in fieldManager; time is RFC3339 in whole seconds."""

    manager: str
    api_version: str
    subresource: str
    time: str


Entries = list[Doc]
"""The value of metadata.managedFields. Shared: never change one, nor an entry of it."""


class Applied(NamedTuple):
    """What an apply makes of an object, and who owns what then."""

    doc: Doc
    entries: Entries


def owned(changed: Fields) -> Fields:
    """The set without what nobody owns."""
    return difference(changed, _UNOWNED)


# ---- plain writes


def created(changed: Fields, writer: Writer) -> Entries:
    """The entries of a new object, of which the writer set these fields."""
    return [_entry(writer, UPDATE, changed)] if changed else []


def updated(entries: Entries, changes: Changes, writer: Writer) -> Entries:
    """The entries after a create, update or patch: what it set is the writer's now, and what it
    removed is nobody's."""
    mine = owned(changes.set)
    me = _identity(_entry(writer, UPDATE, mine))
    kept: Entries = []
    for entry in entries:
        fields = difference(entry["fieldsV1"], changes.removed)
        if mine and _identity(entry) == me:
            mine = union(fields, mine)
        else:
            _keep(kept, entry, difference(fields, changes.set))
    if mine:
        kept.append(_entry(writer, UPDATE, mine))
    return _sorted(_capped(kept))


def _keep(kept: Entries, entry: Doc, fields: Fields) -> None:
    if fields:
        kept.append(entry if fields is entry["fieldsV1"] else {**entry, "fieldsV1": fields})


def given(sent: Any, live: Entries, subresource: str) -> Entries:
    """The entries to start from: those in a sent document where they make sense, else the stored
    ones. An empty list, or one of an empty entry, starts anew (fieldmanager.go: decodeLiveOrNew).
    """
    if subresource or sent is None or sent == live:
        return live
    if sent in ([], [{}]):
        return []
    return sent if isinstance(sent, list) and all(map(_is_entry, sent)) else live


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and entry.get("operation") in (APPLY, UPDATE)
        and bool(entry.get("apiVersion"))
        and entry.get("fieldsType") == "FieldsV1"
        and is_well_formed(entry.get("fieldsV1"))
    )


# ---- apply


def apply(
    live: Doc,
    config: Doc,
    shape: Shape,
    entries: Entries,
    writer: Writer,
    forgiven: Callable[[], Fields] | None,
) -> Applied:
    """Put a configuration over an object. Raises Conflict if it changes what others own and is
    not forgiven (None: forced, all is), and UnkeyedItem."""
    entries = entries or _before_first(live, shape, writer)
    spoken = field_set(config, shape)
    me = _identity(_entry(writer, APPLY, spoken))
    others = [entry for entry in entries if _identity(entry) != me]
    last: Fields = next((e["fieldsV1"] for e in entries if _identity(e) == me), {})
    claimed = spoken
    for entry in others:
        claimed = union(claimed, entry["fieldsV1"])
    merged = prune(merge(live, config, shape), last, claimed, shape)
    changes = compare(live, merged, shape)
    conflicts = [(e, c) for e in others if (c := intersection(e["fieldsV1"], changes.set))]
    if conflicts and forgiven is not None:
        excused = forgiven()
        conflicts = [(e, rest) for e, c in conflicts if (rest := difference(c, excused))]
        if conflicts:
            raise conflict(conflicts)
    return Applied(merged, _after_apply(others, changes, owned(spoken), writer))


def _after_apply(others: Entries, changes: Changes, mine: Fields, writer: Writer) -> Entries:
    kept: Entries = []
    for entry in others:
        fields = difference(entry["fieldsV1"], changes.removed)
        _keep(kept, entry, difference(fields, changes.set))
    if mine:
        kept.append(_entry(writer, APPLY, mine))
    return _sorted(kept)


def _before_first(live: Doc, shape: Shape, writer: Writer) -> Entries:
    """What nobody was recorded for belongs to a manager of its own (skipnonapplied.go)."""
    fields = owned(compare({}, live, shape).set)
    first = Writer(BEFORE_FIRST_APPLY, writer.api_version, writer.subresource, writer.time)
    return created(fields, first)


def conflict(conflicts: Iterable[tuple[Doc, Fields]]) -> Conflict:
    """Who owns what an apply would change (conflict.go); pairs of an entry and fields of it."""
    found = sorted((_called(entry), list(paths(fields))) for entry, fields in conflicts)
    causes = [
        Cause("FieldManagerConflict", f"conflict with {who}", path)
        for who, theirs in found
        for path in theirs
    ]
    if len(causes) == 1:
        return Conflict(
            f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}", causes=causes
        )
    lines = [
        line
        for who, theirs in found
        for line in (f"conflicts with {who}:", *(f"- {path}" for path in theirs))
    ]
    return Conflict(
        f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines), causes=causes
    )


def _called(entry: Doc) -> str:
    who = f'"{entry.get("manager", "")}"'
    if entry.get("subresource"):
        who += f' with subresource "{entry["subresource"]}"'
    return f"{who} using {entry['apiVersion']}" if entry["operation"] == UPDATE else who


# ---- entries


def same_but_time(left: Entries, right: Entries) -> bool:
    """Times alone are no change."""
    if left is right:
        return True
    return len(left) == len(right) and _timeless(left) == _timeless(right)


def _timeless(entries: Entries) -> dict[tuple[str, ...], Fields]:
    return {(*_identity(entry), entry["apiVersion"]): entry["fieldsV1"] for entry in entries}


def _entry(writer: Writer, operation: str, fields: Fields) -> Doc:
    entry = {
        "manager": writer.manager or "unknown", "operation": operation,
        "apiVersion": writer.api_version, "time": writer.time,
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    }  # fmt: skip
    if writer.subresource:
        entry["subresource"] = writer.subresource
    return entry


def _identity(entry: Doc) -> tuple[str, ...]:
    """An applier stays the same one when it applies another version."""
    operation = entry["operation"]
    version = entry["apiVersion"] if operation == UPDATE else ""
    return entry.get("manager", ""), operation, version, entry.get("subresource", "")


def _sorted(entries: Entries) -> Entries:
    if len(entries) > 1:
        entries.sort(key=_place)
    return entries


def _place(entry: Doc) -> tuple[str, ...]:
    return (
        entry["operation"], entry.get("time", ""), entry.get("manager", ""), entry["apiVersion"],
        entry.get("subresource", ""),
    )  # fmt: skip


def _capped(entries: Entries) -> Entries:
    """At most ten updaters: the oldest of a version become one (capmanagers.go)."""
    excess = sum(entry["operation"] == UPDATE for entry in entries) - UPDATERS_MAX
    if excess <= 0:
        return entries
    oldest = sorted((e for e in entries if e["operation"] == UPDATE), key=_place)
    buckets: dict[str, Entries] = {}
    for entry in oldest:
        bucket = buckets.setdefault(entry["apiVersion"], [])
        bucket.append(entry)
        excess -= len(bucket) > 1
        if not excess:
            break
    merged = [_bucket(bucket) for bucket in buckets.values() if len(bucket) > 1]
    gone = [e for bucket in buckets.values() if len(bucket) > 1 for e in bucket]
    return [e for e in entries if not any(e is one for one in gone)] + merged


def _bucket(bucket: Entries) -> Doc:
    fields: Fields = {}
    for entry in bucket:
        fields = union(fields, entry["fieldsV1"])
    latest = bucket[-1]
    writer = Writer(ANCIENT, latest["apiVersion"], "", latest.get("time", ""))
    return _entry(writer, UPDATE, fields)
