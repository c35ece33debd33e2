"""The patch types that change what is there, told apart by media type (kubernetes.io/docs/reference/using-api/api-concepts).

How patches and what they make are judged: apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from longshore.core.objects.duplicates import duplicate_fields, in_order
from longshore.core.objects.errors import BadRequest, Cause, Invalid, UnsupportedMediaType
from longshore.core.objects.kinds import SECRET, Doc, Kind
from longshore.core.objects.patches import json_merge_patch, json_patch
from longshore.core.objects.rules.problems import REDACTED
from longshore.core.objects.strategic import strategic_merge
from longshore.core.objects.validation import PROBLEMS_MAX, strictly

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
SUPPORTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)
_OPERATION = frozenset(("op", "path", "from", "value"))
_SHOWN_MAX = 1024


@dataclass(frozen=True, slots=True)
class ReadPatch:
    """A patch, decoded; problems are fields that it gives twice, or that no operation has."""

    type: str
    raw: bytes
    content: Any
    problems: tuple[str, ...] = ()


def read_patch(patch_type: str, raw: bytes) -> ReadPatch:
    """Raises UnsupportedMediaType for a type that is not among them, BadRequest for a patch that
    cannot be read."""
    if patch_type not in SUPPORTED:
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format ({patch_type}) - accepted media "
            f"types include: {', '.join(SUPPORTED)}"
        )
    try:
        content: Any = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    if patch_type == JSON_PATCH:
        return ReadPatch(patch_type, raw, content, _problems_of_operations(raw, content))
    if not isinstance(content, dict):
        raise BadRequest("error decoding patch: expected an object")
    return ReadPatch(patch_type, raw, content, tuple(duplicate_fields(raw, content)))


def _problems_of_operations(raw: bytes, content: Any) -> tuple[str, ...]:
    operations = content if isinstance(content, list) else []
    unknown = [
        f'unknown field "[{index}].{name}"'
        for index, operation in enumerate(operations)
        if isinstance(operation, dict)
        for name in operation.keys() - _OPERATION
    ]
    found = in_order(raw, unknown) if unknown else duplicate_fields(raw, content)
    return tuple(f"json patch {one}" for one in found)


def apply_patch(kind: Kind, doc: Doc, patch: ReadPatch) -> Doc:
    """The patched document, which shares with doc what did not change, but for metadata itself.
    Raises BadRequest, Invalid."""
    if patch.type == JSON_PATCH:
        patched = json_patch(kind, doc, patch.content)
    elif patch.type == MERGE_PATCH:
        patched = json_merge_patch(doc, patch.content)
    else:
        patched = strategic_merge(kind, doc, patch.content)
    if not isinstance(patched, dict):
        raise BadRequest("the patch leaves no object")
    if isinstance(metadata := patched.get("metadata"), dict):
        patched["metadata"] = dict(metadata)
    return patched


def judged(kind: Kind, patch: ReadPatch, unknown: Sequence[str], level: str) -> list[str]:
    """Warnings of a patch, given the unknown fields of what it makes; level is that of
    fieldValidation. Raises Invalid if that is Strict."""
    if level == "Ignore":
        return []
    problems = [*patch.problems, *sorted(unknown)][:PROBLEMS_MAX]
    if problems and level == "Strict":
        raise invalid_patch(kind, patch, strictly(problems))
    return problems


def invalid_patch(kind: Kind, patch: ReadPatch, why: str) -> Invalid:
    """The refusal of a patch for what it makes. It shows the patch, but for a Secret's."""
    text = patch.raw[:_SHOWN_MAX].decode(errors="replace") if kind is not SECRET else REDACTED
    message = f"Invalid value: {orjson.dumps(text).decode()}: {why}"
    cause = Cause("FieldValueInvalid", message, "patch")
    return Invalid(f' "" is invalid: patch: {message}', causes=[cause])
