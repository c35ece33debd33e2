"""From Kubernetes' HTTP to the registry's terms and back. Pure.

Paths become targets, queries become options, bodies become documents, errors become metav1.Status.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from longshore.base.limits import DOCUMENT_DEPTH_MAX
from longshore.core.objects.errors import (
    ApiError,
    BadRequest,
    Cause,
    Invalid,
    UnsupportedMediaType,
)
from longshore.core.objects.kinds import KINDS, SPOKEN, Doc, Kind, Kinds, Ref
from longshore.core.registry.reads import ListOptions
from longshore.core.registry.sent import WriteOptions
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes import managers, protobuf
from longshore.doors.kubernetes.strictness import doubled_fields, doubled_in_configuration, judged
from longshore.doors.kubernetes.yamlbody import read_yaml, too_deep

PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    managers.APPLY_PATCH,
)
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")


# Agents and controllers ask for the same objects again and again; longer paths are not remembered.
_PATH_KNOWN_MAX = 256


@dataclass(frozen=True, slots=True)
class Target:
    """What a path points at; name is empty for a collection."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    # Made once, as targets are remembered.
    shape: str = field(init=False, compare=False)
    ref: Ref = field(init=False, compare=False)

    def __post_init__(self) -> None:
        ref = Ref(self.kind, self.namespace, self.name, self.subresource)
        object.__setattr__(self, "shape", "object" if self.name else "collection")
        object.__setattr__(self, "ref", ref)


def parse_target(kinds: Kinds, path: str) -> Target | None:
    """None if nothing of that name is served there."""
    return _known_target(kinds, path) if len(path) <= _PATH_KNOWN_MAX else _parsed(kinds, path)


@lru_cache(maxsize=4096)
def _known_target(kinds: Kinds, path: str) -> Target | None:
    return _parsed(kinds, path)


def _parsed(kinds: Kinds, path: str) -> Target | None:
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        return _target(kinds, "", parts[1], parts[2:])
    if parts[0] == "apis" and len(parts) > 3:
        return _target(kinds, parts[1], parts[2], parts[3:])
    return None


def _target(kinds: Kinds, group: str, version: str, rest: list[str]) -> Target | None:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        below = kinds.at(group, version, rest[2])
        if below is not None and below.namespaced:
            namespace, rest = rest[1], rest[2:]
            if not namespace:
                return None
    kind = kinds.at(group, version, rest[0])
    # Behind "proxy" comes a path of somebody else's.
    if kind is None or "" in rest[:3] or (len(rest) > 3 and rest[2] != "proxy"):
        return None
    name, subresource = (*rest[1:], "", "")[:2]
    if name and kind.namespaced and not namespace:
        return None
    return Target(kind, namespace, name, subresource)


# --- options ---


def list_options(request: Request) -> ListOptions:
    query = request.query
    if not query:
        return _EVERYTHING
    return ListOptions(
        labels=_first(query, "labelSelector"),
        fields=_first(query, "fieldSelector"),
        limit=number(query, "limit") or 0,
        continue_=_first(query, "continue"),
        revision=_first(query, "resourceVersion"),
        revision_match=_first(query, "resourceVersionMatch"),
    )


_EVERYTHING = ListOptions()


def write_options(request: Request, options_kind: str) -> WriteOptions:
    """Raises Invalid naming options_kind ("CreateOptions") for values that there are not."""
    query = request.query
    agent = managers.of_agent(request.headers.get("user-agent", ""))
    patches = options_kind == "PatchOptions"
    applies = patches and _media(request) == managers.APPLY_PATCH
    if not query and not applies:
        return _warning(agent)
    level, dry_run = _first(query, "fieldValidation"), query.get("dryRun", ())
    wrong = [
        *managers.problems(request, applies, patches),
        *(_unsupported("dryRun", one, ("All",)) for one in dry_run if one != "All"),
        *(_unsupported("fieldValidation", one, _LEVELS) for one in (level,) if one not in _LEVELS),
    ]
    if wrong:
        raise Invalid.of(_options(options_kind), "", wrong)
    manager = _first(query, "fieldManager") or agent
    return WriteOptions(bool(dry_run), level or "Warn", manager, flag(query, "force"))


_LEVELS = ("", "Ignore", "Strict", "Warn")


@lru_cache(maxsize=1024)
def _warning(manager: str) -> WriteOptions:
    return WriteOptions(False, "Warn", manager)


def _media(request: Request) -> str:
    return media_type(request.headers.get("content-type", ""))


def _unsupported(field: str, value: str, supported: Sequence[str]) -> Cause:
    quoted = ", ".join(f'"{one}"' for one in supported)
    message = f'Unsupported value: "{value}": supported values: {quoted}'
    return Cause("FieldValueNotSupported", message, field)


def _options(kind: str) -> Kind:
    return Kind("meta.k8s.io", "v1", kind, kind.lower(), "")


def _first(query: Mapping[str, Sequence[str]], name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def number(query: Mapping[str, Sequence[str]], name: str) -> int | None:
    """A whole number of the query, None if it is not given. Raises BadRequest."""
    text = _first(query, name)
    if not text:
        return None
    if not _WHOLE.fullmatch(text):
        shown = text if len(text) <= 64 else text[:64] + "..."
        raise BadRequest(f'invalid value for "{name}": "{shown}" is not a whole number')
    return int(text)


_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")


def flag(query: Mapping[str, Sequence[str]], name: str) -> bool:
    """As Go reads it: present and neither "false" nor "0"."""
    values = query.get(name)
    return values[0].lower() not in ("false", "0") if values else False


# --- bodies ---


def media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def read_body(request: Request) -> Any:
    """The decoded body. Raises UnsupportedMediaType or BadRequest."""
    kind = media_type(request.headers.get("content-type", ""))
    if kind in ("", "application/json", "*/*"):
        return read_json(request.body)
    if kind in YAML_TYPES:
        return read_yaml(request.body)
    if kind == protobuf.MEDIA:
        return protobuf.decode(request.body, _schema_named)
    raise unknown_format("application/json", "application/yaml", protobuf.MEDIA)


def unknown_format(*accepted: str) -> UnsupportedMediaType:
    """As apiserver/pkg/endpoints/handlers/negotiation/errors.go words it."""
    return UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted)
    )


def read_json(body: bytes) -> Any:
    """Raises BadRequest, also for what is nested too deep to be walked."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    # Counting is nearly free, and hardly any body can be that deep.
    if body.count(b"{") + body.count(b"[") > DOCUMENT_DEPTH_MAX:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        if depth > DOCUMENT_DEPTH_MAX:
            raise too_deep()
        level = [inner for node in level for inner in _children(node)]
        depth += 1


def _children(node: Any) -> Iterable[Any]:
    inside = node.values() if isinstance(node, dict) else node
    return (one for one in inside if isinstance(one, dict | list))


def _schema_named(api_version: str, kind: str) -> str:
    """The definition of what a body may hold; empty if it may not."""
    known = KINDS.named(api_version, kind) or SPOKEN.named(api_version, kind)
    if known is not None:
        return known.schema
    if kind == "DeleteOptions":
        return "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
    return ""


def read_object(
    request: Request, target: Target, options: WriteOptions, expected: Kind | None = None
) -> tuple[Doc, list[str]]:
    """The object in the body, with apiVersion and kind completed; if it has doubled fields,
    warnings of them and of unknown ones.

    Raises BadRequest if it is another kind's than expected (the target's own by default).
    """
    doc = read_body(request)
    if not isinstance(doc, dict):
        raise BadRequest(f"the body is not a {target.kind.name}")
    kind = expected or target.kind
    doubled: list[str] = []
    if options.field_validation != "Ignore":
        # Counts what the text says, so before anything is completed.
        doubled = doubled_fields(request.body, doc, _media(request))
    _expect(doc, "apiVersion", "API version", kind.api_version)
    _expect(doc, "kind", "kind", kind.name)
    _place(doc, target)
    return doc, judged(kind, doc, request.body, doubled, options) if doubled else []


def _expect(doc: Doc, field: str, called: str, value: str) -> None:
    given = doc.get(field)
    if given is None or given == "":
        doc[field] = value
    elif given != value:
        raise BadRequest(
            f"the {called} in the data ({given}) does not match the expected {called} ({value})"
        )


def _place(doc: Doc, target: Target) -> None:
    """Check that the body is about the object that the URL names."""
    metadata = doc.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise BadRequest("metadata must be an object")
    given = metadata.get("namespace") or target.namespace
    if given != target.namespace:
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    name = metadata.get("name") or ""
    if target.name and name and name != target.name:
        raise BadRequest(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )


def patch_type(request: Request) -> str:
    """The patch's media type. Raises UnsupportedMediaType."""
    kind = _media(request)
    if kind in PATCH_TYPES:
        return kind
    raise unknown_format(*PATCH_TYPES)


def read_configuration(request: Request, options: WriteOptions) -> tuple[Doc, list[str]]:
    """The configuration that is applied, which is YAML and mostly the JSON in it; warnings of
    doubled fields. Raises BadRequest."""
    is_json = request.body.lstrip()[:1] == b"{"
    doc = (read_json if is_json else read_yaml)(request.body)
    if not isinstance(doc, dict):
        raise BadRequest("error decoding patch: expected an object")
    if options.field_validation == "Ignore":
        return doc, []
    return doc, doubled_in_configuration(doc, request.body, options, is_json=is_json)


# --- answers ---


def failure(error: ApiError) -> Doc:
    """metav1.Status of an error, as clients branch on it."""
    status: Doc = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "details": _details(error),
        "code": error.code,
    }
    if not status["details"]:
        del status["details"]
    return status


def _details(error: ApiError) -> Doc:
    details: Doc = {}
    if error.name:
        details["name"] = error.name
    if error.kind is not None:
        if error.kind.group:
            details["group"] = error.kind.group
        # Upstream names the kind where it judged an object, the resource everywhere else.
        details["kind"] = error.kind.name if isinstance(error, Invalid) else error.kind.plural
    if error.causes:
        details["causes"] = [_cause(cause) for cause in error.causes]
    if error.retry_after_s:
        details["retryAfterSeconds"] = error.retry_after_s
    return details


def _cause(cause: Cause) -> Doc:
    shown = {"reason": cause.reason, "message": cause.message, "field": cause.field}
    return {key: value for key, value in shown.items() if value}


def success(target: Target, uid: str = "") -> Doc:
    """metav1.Status of a deletion or a binding."""
    details: Doc = {"name": target.name, "kind": target.kind.plural}
    if target.kind.group:
        details["group"] = target.kind.group
    if uid:
        details["uid"] = uid
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Success", "details": details,
    }  # fmt: skip


def warning_header(warnings: Sequence[str]) -> dict[str, str]:
    """As client-go reads them: 299 - "text", each once. Several are one header's list, whose texts
    are cut short if they are too many (apiserver/pkg/endpoints/filters/warning.go)."""
    if not warnings:
        return {}
    texts = [_one_line(text) for text in dict.fromkeys(warnings)]
    if sum(map(len, texts)) > _WARNINGS_MAX:
        texts = [text[:_WARNING_MAX] for text in texts][: _WARNINGS_MAX // _WARNING_MAX]
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return {"Warning": ", ".join(f'299 - "{text}"' for text in quoted)}


_WARNINGS_MAX, _WARNING_MAX = 4096, 256


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
