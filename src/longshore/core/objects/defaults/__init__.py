"""What a field holds if nobody set it: upstream's defaults, kind by kind.

Every function changes the document that it is given, which must be a fresh decode that passed
validation.check, and may be called again without effect. Values are built anew each time, so no
two documents share a default.
"""

from __future__ import annotations

from longshore.core.objects.defaults import claims, network, platform, pods, records, workloads
from longshore.core.objects.kinds import Doc, Kind

_BY_SCHEMA = {
    **pods.DEFAULTS,
    **workloads.DEFAULTS,
    **claims.DEFAULTS,
    **network.DEFAULTS,
    **records.DEFAULTS,
    **platform.DEFAULTS,
}


def default(kind: Kind, doc: Doc) -> Doc:
    """Fill in what a new or replaced object leaves unset. Returns the same document."""
    doc.setdefault("metadata", {})
    fill = _BY_SCHEMA.get(kind.schema)
    if fill is not None:
        fill(doc)
    return doc
