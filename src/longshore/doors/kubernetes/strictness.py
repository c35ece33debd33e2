"""What a body has that it should not: unknown and doubled fields, for fieldValidation. Pure.

Source: apiserver/pkg/endpoints/handlers/{create,update,patch,rest}.go, sigs.k8s.io/json.
"""

from __future__ import annotations

from typing import Any

from longshore.core.objects.duplicates import duplicate_fields, in_order
from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.validation import check, strict_error
from longshore.core.registry.sent import WriteOptions
from longshore.doors.kubernetes.yamlbody import doubled_keys


def doubled_fields(body: bytes, doc: Any, media: str) -> list[str]:
    """Fields that a body gives twice; doc is the body, decoded and unchanged. What comes in other
    forms than JSON and YAML cannot say a field twice."""
    if media in ("", "*/*") or media.endswith("json"):
        return duplicate_fields(body, doc)
    return doubled_keys(body) if media.endswith("yaml") else []


def judged(
    kind: Kind, doc: Doc, body: bytes, doubled: list[str], options: WriteOptions
) -> list[str]:
    """All warnings of a body with doubled fields, in the order in which a decoder would give them.
    Raises BadRequest where validation is strict."""
    unknown = check(kind, doc).unknown
    of_json = doubled[0].startswith("duplicate")
    problems = in_order(body, unknown) if of_json else [*doubled, *unknown]
    if options.field_validation != "Strict":
        return problems
    raise strict_error(kind, doc, problems if of_json else [yaml_error(doubled), *unknown])


def doubled_in_configuration(
    doc: Any, body: bytes, options: WriteOptions, *, is_json: bool
) -> list[str]:
    """Warnings of what is applied with doubled fields. Raises BadRequest where validation is
    strict."""
    doubled = doubled_fields(body, doc, "json" if is_json else "yaml")
    if doubled and options.field_validation == "Strict":
        said = ", ".join(doubled) if is_json else yaml_error(doubled)
        raise BadRequest(f"error strict decoding patch: {said}")
    return doubled


def yaml_error(doubled: list[str]) -> str:
    return "\n  ".join(["yaml: unmarshal errors:", *doubled])
