"""Faults on order: the next requests that match a pattern are refused, or their connection breaks."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

import orjson

from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import KINDS
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes.translate import parse_target

Failure: TypeAlias = int | Literal["drop"]
# Of two with one code the later one: Conflict, not AlreadyExists.
_REASONS = {error.code: error.reason for error in ApiError.__subclasses__()}
# Codes after which clients come again when they are told to.
_COME_AGAIN = (429, 503, 504)
_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


@dataclass(slots=True)
class Fault:
    """pattern is "METHOD RESOURCE[/NAME[/SUBRESOURCE]]", each part with * and ? as of a shell, or
    "METHOD /a/path". METHOD is HTTP's or a verb of Kubernetes ("PATCH", "watch", "*")."""

    pattern: str
    failure: Failure
    left: int

    def __post_init__(self) -> None:
        if not self.pattern.partition(" ")[2]:
            raise ValueError(f'"{self.pattern}" is no pattern: write "PATCH pods/*", or "* *"')
        if self.failure != "drop" and self.failure not in range(400, 600):
            raise ValueError(
                f'{self.failure!r} is no failure: give a status of 400 to 599, or "drop"'
            )

    def meets(self, request: Request) -> bool:
        method, _, where = self.pattern.partition(" ")
        return self.left > 0 and _asks(request, method) and _is_about(request, where.strip())


def refusal(fault: Fault) -> Reply:
    """What a client is told instead of an answer."""
    assert fault.failure != "drop"
    code = fault.failure
    status = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": _REASONS.get(code, "Unknown"),
        "message": f'the test ordered this failure: "{fault.pattern}"',
    }  # fmt: skip
    headers = {"Retry-After": "1"} if code in _COME_AGAIN else {}
    return Reply(code, orjson.dumps(status), headers=headers)


def verb_of(request: Request) -> str:
    """get, list, watch, create, update, patch, delete or deletecollection."""
    target = parse_target(KINDS, request.path)
    named = target is None or bool(target.name)
    match request.method:
        case "GET" | "HEAD":
            watching = request.param("watch") in ("1", "true")
            return "watch" if watching else "get" if named else "list"
        case "DELETE":
            return "delete" if named else "deletecollection"
        case "POST":
            return "create"
        case "PUT":
            return "update"
    return request.method.lower()


def _asks(request: Request, method: str) -> bool:
    if method.lower() in _VERBS and method.islower():
        return verb_of(request) == method
    return fnmatchcase(request.method, method.upper())


def _is_about(request: Request, where: str) -> bool:
    if where.startswith("/"):
        return fnmatchcase(request.path, where)
    target = parse_target(KINDS, request.path)
    if target is None:
        return where == "*"
    said = (target.kind.plural, target.name, target.subresource)
    wanted = where.split("/")
    if len(wanted) > len(said):
        return False
    if len(wanted) < 3 and target.subresource and where != "*":
        return False
    return all(map(fnmatchcase, said, wanted))
