"""The patch types that change what is there, told apart by media type (kubernetes.io/docs/reference/using-api/api-concepts)."""

from __future__ import annotations

from typing import Any

import orjson

from longshore.core.objects.errors import BadRequest, UnsupportedMediaType
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.patches import json_merge_patch, json_patch
from longshore.core.objects.strategic import strategic_merge

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
SUPPORTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)


def apply_patch(kind: Kind, doc: Doc, patch_type: str, patch: bytes) -> Doc:
    """The patched document; doc is the caller's own. Raises UnsupportedMediaType for a type that
    is not among them, BadRequest for a patch that cannot be read."""
    if patch_type not in SUPPORTED:
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format ({patch_type}) - accepted media "
            f"types include: {', '.join(SUPPORTED)}"
        )
    try:
        content: Any = orjson.loads(patch)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    if patch_type == JSON_PATCH:
        patched = json_patch(kind, doc, content)
    elif not isinstance(content, dict):
        raise BadRequest("error decoding patch: expected an object")
    elif patch_type == MERGE_PATCH:
        patched = json_merge_patch(doc, content)
    else:
        patched = strategic_merge(kind, doc, content)
    if not isinstance(patched, dict):
        raise BadRequest("the patch leaves no object")
    return patched
