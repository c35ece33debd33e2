"""Kinds that are listed and cannot be created yet: whoever makes one is told, not deceived."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.errors import Forbidden
from longshore.core.objects.kinds import Doc, Kind


def check_served(kind: Kind, doc: Doc) -> None:
    """Raises Forbidden for objects that would have no effect, and must not seem to have one. An
    APIService without a service only says that this server itself serves a group."""
    if not kind.unserved:
        return
    if kind is kinds.API_SERVICE and not (doc.get("spec") or {}).get("service"):
        return
    name = (doc.get("metadata") or {}).get("name", "")
    raise Forbidden(f'{kind.resource} "{name}" is forbidden: {kind.unserved}', kind=kind, name=name)
