"""What somebody wants to do, and how they are refused. Who may: see permission/."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from longshore.base.users import User
from longshore.core.objects.errors import Forbidden
from longshore.core.objects.kinds import Kind

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
ANONYMOUS = "system:anonymous"
SERVICE_ACCOUNTS = "system:serviceaccounts"
NO_FIELDS: Mapping[str, str] = MappingProxyType({})


class Wish(NamedTuple):
    """What somebody wants to do to a resource, in the terms of a SubjectAccessReview. fields are
    what a field selector says a list or watch is limited to."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    fields: Mapping[str, str] = NO_FIELDS


class Verdict(NamedTuple):
    """Neither allowed nor denied: no opinion. reason says by which binding, or why not, as far as
    somebody says so; error what went wrong with judging."""

    allowed: bool
    reason: str = ""
    denied: bool = False
    error: str = ""


def forbidden(who: User, wish: Wish, why: str = "", kind: Kind | None = None) -> Forbidden:
    """In upstream's words (apiserver/pkg/endpoints/handlers/responsewriters/errors.go)."""
    qualified = f"{wish.resource}.{wish.group}" if wish.group else wish.resource
    resource = f"{wish.resource}/{wish.subresource}" if wish.subresource else wish.resource
    where = f'in the namespace "{wish.namespace}"' if wish.namespace else "at the cluster scope"
    named = f' "{wish.name}"' if wish.name else ""
    return Forbidden(
        f'{qualified}{named} is forbidden: User "{who.name}" cannot {wish.verb} resource '
        f'"{resource}" in API group "{wish.group}" {where}' + (f": {why}" if why else ""),
        kind=kind,
        name=wish.name,
    )


def forbidden_path(who: User, verb: str, path: str, why: str = "") -> Forbidden:
    """For a path that is no resource's."""
    said = f'forbidden: User "{who.name}" cannot {verb} path "{path}"'
    return Forbidden(f"{said}: {why}" if why else said)
