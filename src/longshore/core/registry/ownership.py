"""Who owns the fields of what is written: metadata.managedFields along the road of a write.

Objects that nobody is recorded for (older ones, and those whose list a client cleared) stay so
until something is applied to them (apimachinery managedfields/internal/skipnonapplied.go).
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

from longshore.base.clock import rfc3339
from longshore.core.objects.apply import last_applied, ownership
from longshore.core.objects.apply.fields import Fields
from longshore.core.objects.apply.ownership import SYSTEM_FIELDS, Applied, Entries, Writer
from longshore.core.objects.apply.shapes import Shape, shape_named
from longshore.core.objects.apply.walks import UnkeyedItem, compare, everything
from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.core.objects.meta import not_of_status
from longshore.core.objects.recent import Memo, key_of

# What the specs set that came lately: pods of one workload share theirs, and its set of fields.
_specs: Memo[Fields] = Memo()
_NOBODY: Entries = []
_TYPE = frozenset(("apiVersion", "kind"))


def writer(kind: Kind, subresource: str, manager: str, now: float) -> Writer:
    """kind is that of the request, whose version is recorded; now is in seconds since 1970."""
    return _writer(kind, subresource, manager, int(now))


@lru_cache(maxsize=256)
def _writer(kind: Kind, subresource: str, manager: str, second: int) -> Writer:
    return Writer(manager, kind.api_version, subresource, rfc3339(second))


def record_new(kind: Kind, doc: Doc, by: Writer) -> None:
    """Give a new, defaulted object of a stored kind its first entry, in place."""
    shape = shape_named(kind.schema)
    changed: Fields = {}
    for name, value in doc.items():
        if name == "spec" and value:
            changed["f:spec"] = _spec_fields(kind, value, shape)
        elif name == "metadata":
            _add_metadata(changed, value, shape)
        elif name in _TYPE:
            continue
        elif name != "status" or "status" not in kind.subresources:
            key, inner, always = shape.field(name)
            changed[key] = everything(value, inner, always)
    doc["metadata"]["managedFields"] = ownership.created(changed, by)


def _add_metadata(changed: Fields, metadata: Doc, shape: Shape) -> None:
    theirs = {name: value for name, value in metadata.items() if name not in SYSTEM_FIELDS}
    if theirs:
        key, inner, always = shape.field("metadata")
        changed[key] = everything(theirs, inner, always)


def _spec_fields(kind: Kind, spec: Any, shape: Shape) -> Fields:
    key = key_of((kind.schema, spec))
    fields = _specs.get(key)
    if fields is None:
        _, inner, always = shape.field("spec")
        fields = everything(spec, inner, always)
        _specs.add(key, fields)
    return fields


def updated(kind: Kind, new: Doc, old: Doc, start: Entries, by: Writer) -> Entries:
    """The entries after `old`, whose were start, became `new`."""
    if not start:
        return start
    return ownership.updated(start, compare(old, new, shape_named(kind.schema)), by)


def started(ref: Ref, sent: Any, old: Doc) -> Entries:
    """The entries that an update begins with: the stored ones, or those that were sent."""
    return ownership.given(sent, stored_entries(old), ref.subresource)


def stored_entries(doc: Doc) -> Entries:
    entries: Entries = doc["metadata"].get("managedFields") or _NOBODY
    return entries


def applied(ref: Ref, live: Doc, config: Doc, by: Writer, *, force: bool) -> Applied:
    """What an apply makes of an object. Raises Conflict, BadRequest."""
    kind = ref.kind.kept_as
    shape = shape_named(kind.schema)
    entries = stored_entries(live) if live else _NOBODY
    by_kubectl = by.manager == last_applied.MANAGER and ref.kind.hub is None and bool(live)
    forgiven = partial(last_applied.own_fields, live, by.api_version, shape) if by_kubectl else dict
    part = _of_part(ref, config)
    try:
        made = ownership.apply(live, part, shape, entries, by, None if force else forgiven)
    except UnkeyedItem as error:
        raise untyped(ref, str(error)) from None
    if not by_kubectl or ref.subresource == "scale":
        return made
    return made._replace(doc=last_applied.kept_up(made.doc, config))


def untyped(ref: Ref, why: str) -> BadRequest:
    """The refusal of a configuration that has not the form of its kind."""
    group, _, version = ref.kind.api_version.rpartition("/")
    return BadRequest(
        f"failed to create typed patch object ({ref.namespace}/{ref.name}; "
        f"{group}/{version}, Kind={ref.kind.name}): {why}"
    )


def _of_part(ref: Ref, config: Doc) -> Doc:
    """What of a configuration its endpoint takes: upstream's strategies call the others reset
    fields."""
    if ref.subresource == "status":
        left = not_of_status(ref.kind.kept_as)
        metadata = {k: v for k, v in config["metadata"].items() if k not in left}
        return {k: v for k, v in config.items() if k != "spec"} | {"metadata": metadata}
    if not ref.subresource and "status" in ref.kind.subresources:
        return {k: v for k, v in config.items() if k != "status"}
    return config


def set_entries(doc: Doc, entries: Entries) -> None:
    """Write the entries into metadata, in place."""
    if entries:
        doc["metadata"]["managedFields"] = entries
    else:
        doc["metadata"].pop("managedFields", None)
