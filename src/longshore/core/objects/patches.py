"""JSON patches: RFC 6902 (a list of operations) and RFC 7396 (merge). Strategic merge is next door.

None of them changes its inputs; results may share parts with them.
"""

from __future__ import annotations

from typing import Any

import jsonpatch
import orjson

from longshore.base.limits import REQUEST_BODY_MAX_BYTES
from longshore.core.objects.errors import BadRequest, Invalid, TooLarge
from longshore.core.objects.kinds import Doc, Kind

# Kubernetes' bound on the operations of one JSON patch (endpoints/handlers/patch.go).
OPERATIONS_MAX = 10_000


def json_merge_patch(doc: Any, patch: Any) -> Any:
    """RFC 7396: null deletes a field, objects are merged, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(doc) if isinstance(doc, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = json_merge_patch(merged.get(key), value)
        else:
            merged[key] = value
    return merged


def own_fields(doc: Doc) -> Doc:
    """A copy whose fields are copies too, as far as they are objects, and nothing below them."""
    return {name: dict(part) if type(part) is dict else part for name, part in doc.items()}


def detached(patched: Doc, doc: Doc) -> Doc:
    """A patched document to be completed in place, while doc, with which it shares what the patch
    left, stays as it is. Where only metadata was patched, nobody completes more than fields of
    fields: then the rest is shared on."""
    own = own_fields(patched)
    rest = {name: part for name, part in patched.items() if name != "metadata"}
    if patched.keys() == doc.keys() and all(part is doc[name] for name, part in rest.items()):
        return own
    copied: Doc = orjson.loads(orjson.dumps(rest))
    return own | copied


def json_patch(kind: Kind, doc: Doc, operations: Any) -> Any:
    """RFC 6902. Raises BadRequest for what is no patch, Invalid (as upstream) for one whose test
    fails or whose paths are not there, TooLarge for one of too many operations."""
    if not isinstance(operations, list):
        raise BadRequest("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > OPERATIONS_MAX:
        raise TooLarge(
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(operations)}"
        )
    try:
        patch = jsonpatch.JsonPatch(operations)
    except _LIBRARY_ERRORS as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    try:
        # The library applies in place: a re-decode is the cheapest private copy.
        own = orjson.loads(orjson.dumps(doc))
        if any(one["op"] == "copy" for one in operations):
            return _with_copies(own, operations)
        return patch.apply(own, in_place=True)
    except jsonpatch.InvalidJsonPatch as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    except _LIBRARY_ERRORS as error:
        name = doc.get("metadata", {}).get("name", "")
        raise Invalid(
            f"the server rejected our request due to an error in our request: {_said(error)}",
            kind=kind,
            name=name,
        ) from error


def _with_copies(doc: Any, operations: Any) -> Any:
    """Step by step, so that what is copied is known before it is: each copy may double the document."""
    copied_bytes = 0
    for one in operations:
        if one["op"] == "copy" and isinstance(one.get("from"), str):
            copied_bytes += len(orjson.dumps(jsonpatch.JsonPointer(one["from"]).resolve(doc)))
            if copied_bytes > REQUEST_BODY_MAX_BYTES:
                raise jsonpatch.JsonPatchConflict(_too_many_copies(copied_bytes))
        doc = jsonpatch.JsonPatch([one]).apply(doc, in_place=True)
    return doc


def _too_many_copies(size: int) -> str:
    return (
        f"Unable to complete the copy, the accumulated size increase of copy is {size}, exceeding "
        f"the limit {REQUEST_BODY_MAX_BYTES}"
    )


def _said(error: Exception) -> str:
    """What the library says, in terms of JSON, and without what the document holds: those who may
    not read it see this too, in the audit log if nowhere else."""
    if isinstance(error, jsonpatch.JsonPatchTestFailed):
        return f"testing value {getattr(error.op, 'location', '')} failed: test failed"
    known = isinstance(error, jsonpatch.JsonPatchException | jsonpatch.JsonPointerException)
    text = str(error).partition(" in {")[0]
    return text if known and "<class" not in text else "a path leads into a value without parts"


# TypeError, KeyError and the like: the library lets a path into a string or number run into them.
_LIBRARY_ERRORS = (
    jsonpatch.JsonPatchException,
    jsonpatch.JsonPointerException,
    AttributeError,
    LookupError,
    TypeError,
)
