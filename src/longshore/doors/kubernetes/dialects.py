"""How operations and their parameters are written in OpenAPI 2.0 and 3.0. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from longshore.core.objects.kinds import Doc
from longshore.doors.kubernetes.operations import Operation, Way

_STATUSES = {
    "200": "OK", "201": "Created", "202": "Accepted", "401": "Unauthorized",
}  # fmt: skip
_TEXT: Doc = {"type": "string"}
_FLAG, _NUMBER, _WORD = "boolean", "integer", "string"

# Of each parameter its type and what it is for.
PARAMETERS: Mapping[str, tuple[str, str]] = {
    "allowWatchBookmarks": (_FLAG, "whether a watch may hear how far it has come, by BOOKMARKs"),
    "command": (_WORD, "a word of the command; repeated for each"),
    "container": (_WORD, "the container that is meant; the only one by default"),
    "continue": (_WORD, "where to go on, as the page before said"),
    "dryRun": (_WORD, "All: do everything but store the outcome"),
    "fieldManager": (_WORD, "who is to own the fields that are set, up to 128 characters"),
    "fieldSelector": (_WORD, "only objects whose fields are so"),
    "fieldValidation": (_WORD, "Ignore, Warn or Strict: what unknown and doubled fields lead to"),
    "follow": (_FLAG, "go on with what comes later"),
    "force": (_FLAG, "take over fields that others own; only when applying"),
    "gracePeriodSeconds": (_NUMBER, "seconds until what is deleted is ended; 0 is now"),
    "labelSelector": (_WORD, "only objects whose labels are so"),
    "limit": (_NUMBER, "how many objects a page may hold"),
    "limitBytes": (_NUMBER, "how many bytes of the log to send at most"),
    "name": (_WORD, "the object's name"),
    "namespace": (_WORD, "the namespace that the object is in"),
    "orphanDependents": (_FLAG, "an older way to say propagationPolicy Orphan"),
    "path": (_WORD, "the path at the backend"),
    "ports": (_NUMBER, "a port to forward; repeated for each"),
    "pretty": (_WORD, "true: write the answer for human eyes"),
    "previous": (_FLAG, "the log of the container's run before this one"),
    "propagationPolicy": (_WORD, "Orphan, Background or Foreground: what becomes of dependents"),
    "resourceVersion": (_WORD, "as of which revision to answer"),
    "resourceVersionMatch": (_WORD, "Exact or NotOlderThan: what resourceVersion means to a list"),
    "sendInitialEvents": (_FLAG, "begin a watch with what there is, ended by a bookmark"),
    "sinceSeconds": (_NUMBER, "only lines of the last so many seconds"),
    "stderr": (_FLAG, "whether to pass on the standard error"),
    "stdin": (_FLAG, "whether to pass on the standard input"),
    "stdout": (_FLAG, "whether to pass on the standard output"),
    "tailLines": (_NUMBER, "only so many lines of the log's end"),
    "timeoutSeconds": (_NUMBER, "after how many seconds a list or watch ends"),
    "timestamps": (_FLAG, "put the time before each line"),
    "tty": (_FLAG, "whether the streams are a terminal's"),
    "watch": (_FLAG, "tell of changes, instead of a list"),
}


class Dialect(Protocol):
    """A version of OpenAPI."""

    def parameter(self, name: str, place: str) -> Doc:
        """One parameter; place is query or path."""

    def operation(self, operation: Operation) -> Doc:
        """All but the parameters of the query."""


def path_item(way: Way, dialect: Dialect) -> Doc:
    """A path's operations by method. What all of them take is said once, beside them."""
    taken = [set(operation.query) for operation in way.operations]
    shared = set.intersection(*taken)
    common = [(name, "path") for name in way.variables] + [(name, "query") for name in shared]
    item: Doc = {}
    for operation in way.operations:
        written = item[operation.method] = dialect.operation(operation)
        own = sorted(set(operation.query) - shared)
        more = [dialect.parameter(name, "query") for name in own]
        if more:
            written["parameters"] = [*written.get("parameters", ()), *more]
    if common:
        item["parameters"] = [dialect.parameter(*one) for one in sorted(common)]
    return item


def _parameter(name: str, place: str) -> Doc:
    described: Doc = {"description": PARAMETERS[name][1], "in": place, "name": name}
    return described | ({"required": True} if place == "path" else {})


def _head(operation: Operation) -> Doc:
    head: Doc = {
        "description": operation.text, "operationId": operation.name, "tags": [operation.tag],
    }  # fmt: skip
    if operation.action:
        head["x-kubernetes-action"] = operation.action
    if operation.about:
        named = zip(("group", "version", "kind"), operation.about, strict=True)
        head["x-kubernetes-group-version-kind"] = dict(named)
    return head


class V3:
    """OpenAPI 3.0."""

    def parameter(self, name: str, place: str) -> Doc:
        schema = {"type": PARAMETERS[name][0], "uniqueItems": True}
        return {**_parameter(name, place), "schema": schema}

    def operation(self, operation: Operation) -> Doc:
        written = _head(operation)
        if operation.body:
            content = self._content(operation.body, operation.body_in)
            required = {"required": True} if operation.body_required else {}
            written["requestBody"] = {"content": content, **required}
        written["responses"] = {one: self._answer(operation, one) for one in operation.statuses}
        return written

    def _answer(self, operation: Operation, status: str) -> Doc:
        answer: Doc = {"description": _STATUSES[status]}
        if status != "401":
            answer["content"] = self._content(operation.answer, operation.answered_in)
        return answer

    def _content(self, schema: str, media: Iterable[str]) -> Doc:
        shown = {"$ref": f"#/components/schemas/{schema}"} if schema else _TEXT
        return {one: {"schema": shown} for one in media}


class V2:
    """OpenAPI 2.0."""

    def parameter(self, name: str, place: str) -> Doc:
        return {**_parameter(name, place), "type": PARAMETERS[name][0], "uniqueItems": True}

    def operation(self, operation: Operation) -> Doc:
        written = _head(operation) | {
            "schemes": ["https"],
            "consumes": list(operation.body_in),
            "produces": list(operation.answered_in),
            "responses": {one: self._answer(operation, one) for one in operation.statuses},
        }
        if operation.body:
            body = {"in": "body", "name": "body", "schema": self._schema(operation.body)}
            required = {"required": True} if operation.body_required else {}
            written["parameters"] = [{**body, **required}]
        return written

    def _answer(self, operation: Operation, status: str) -> Doc:
        answer: Doc = {"description": _STATUSES[status]}
        return answer if status == "401" else {**answer, "schema": self._schema(operation.answer)}

    def _schema(self, name: str) -> Doc:
        return {"$ref": f"#/definitions/{name}"} if name else _TEXT
