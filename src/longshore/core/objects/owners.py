"""metadata.ownerReferences: each owner is named once."""

from __future__ import annotations

import orjson

from longshore.core.objects.kinds import Doc

_WARNING = (
    ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in "
    "1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate "
    "UID(s) observed: "
)


def with_distinct_owners(doc: Doc, warnings: list[str]) -> Doc:
    """The object without references that repeat another, and a warning of each of them
    (apiserver/pkg/endpoints/handlers/rest.go dedupOwnerReferencesAndAddWarning)."""
    metadata = doc["metadata"]
    owners = metadata.get("ownerReferences")
    if not owners or len(owners) == 1:
        return doc
    kept: dict[bytes, Doc] = {}
    doubled: list[str] = []
    for owner in owners:
        if kept.setdefault(orjson.dumps(owner, option=orjson.OPT_SORT_KEYS), owner) is not owner:
            doubled.append(owner.get("uid", ""))
    if not doubled:
        return doc
    warnings.append(_WARNING + ", ".join(doubled))
    return {**doc, "metadata": {**metadata, "ownerReferences": [*kept.values()]}}
