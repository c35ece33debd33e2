"""Who asks: by client certificate or bearer token, and as whom.

Impersonation follows kubernetes.io/docs/reference/access-authn-authz/authentication
(#user-impersonation): every attribute asked for is authorised with the verb impersonate.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from longshore.base.users import User, split_user
from longshore.core.objects.errors import BadRequest, Unauthorized
from longshore.core.registry.identity.tokens import groups_of
from longshore.core.registry.permission.authorizer import Authorizer
from longshore.core.registry.reviews import TokenReader
from longshore.core.registry.wishes import (
    ANONYMOUS,
    AUTHENTICATED,
    UNAUTHENTICATED,
    Wish,
    forbidden,
)
from longshore.doors.kit.http import Request
from longshore.doors.kit.websocket import is_websocket

_ANYBODY = User(ANONYMOUS, (UNAUTHENTICATED,))
# What may be asked for without saying who asks; health is answered before that.
_OPEN_PATHS = frozenset({"/version", "/version/"})
_AUTHENTICATION = "authentication.k8s.io"
_EXTRA = "impersonate-extra-"
_PROTOCOLS, _BEARER = "sec-websocket-protocol", "base64url.bearer.authorization.k8s.io."


def authenticated(request: Request, tokens: TokenReader) -> User:
    """Who asks. Raises Unauthorized."""
    if request.user is not None:
        return request.user
    header = request.headers.get("authorization", "")
    if not header and is_websocket(request.headers):
        return _by_subprotocol(request, tokens)
    open_to_all = not header and request.path in _OPEN_PATHS
    return _ANYBODY if open_to_all else _bearer(header, tokens)


def acting(asker: User, request: Request, permission: Authorizer) -> User:
    """As whom somebody asks: the asker, or the one that is impersonated. Raises Forbidden, or
    BadRequest."""
    for name in request.headers:
        if name.startswith("impersonate-"):
            return _impersonated(asker, request, permission)
    return asker


def _by_subprotocol(request: Request, tokens: TokenReader) -> User:
    """Browsers cannot send an Authorization header with a WebSocket: the token is one of the
    protocols that they offer (apiserver/pkg/authentication/request/websocket), and is taken out."""
    offered = [one.strip() for one in request.headers.get(_PROTOCOLS, "").split(",")]
    shown = [one.removeprefix(_BEARER) for one in offered if one.startswith(_BEARER)]
    others = [one for one in offered if not one.startswith(_BEARER)]
    if len(shown) != 1 or not any(others):
        raise Unauthorized("Unauthorized")
    try:
        token = base64.b64decode(shown[0] + "=" * (-len(shown[0]) % 4), b"-_", True).decode()
    except ValueError:
        raise Unauthorized("Unauthorized") from None
    who = _bearer(f"Bearer {token}", tokens)
    request.headers = {**request.headers, _PROTOCOLS: ", ".join(others)}
    return who


def _bearer(header: str, tokens: TokenReader) -> User:
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Unauthorized")
    try:
        return tokens.authenticate(token)[0]
    except Unauthorized:
        # Why is told to those who may review tokens, not to those who try them.
        raise Unauthorized("Unauthorized") from None


def _impersonated(who: User, request: Request, permission: Authorizer) -> User:
    headers = request.headers
    name = headers.get("impersonate-user", "")
    # A header is one group, whatever is in it: commas do not part groups.
    groups = [group for group in request.values("impersonate-group") if group]
    uid = headers.get("impersonate-uid", "")
    extra = {
        unquote(header.removeprefix(_EXTRA)): tuple(request.values(header))
        for header in headers
        if header.startswith(_EXTRA)
    }
    if not name:
        if groups or uid or extra:
            raise BadRequest(f"requested {_asked(groups, uid, extra)} without impersonating a user")
        return who
    for wish in _wishes(name, groups, uid, extra):
        if not permission.allowed(who, wish):
            raise forbidden(who, wish)
    return User(name, _groups(name, groups), uid, tuple(extra.items()))


def _asked(groups: list[str], uid: str, extra: Mapping[str, tuple[str, ...]]) -> str:
    wants = [f"group {group}" for group in groups] + ([f"uid {uid}"] if uid else [])
    return ", ".join([*wants, *(f"extra {key}" for key in extra)])


def _wishes(
    name: str, groups: list[str], uid: str, extra: Mapping[str, tuple[str, ...]]
) -> Iterator[Wish]:
    """All that is to be taken on."""
    account = split_user(name)
    if account is not None:
        yield Wish("impersonate", "", "serviceaccounts", *account)
    else:
        yield Wish("impersonate", "", "users", name=name)
    for group in groups:
        yield Wish("impersonate", "", "groups", name=group)
    for key, values in extra.items():
        for value in values:
            yield Wish("impersonate", _AUTHENTICATION, "userextras", "", value, key)
    if uid:
        yield Wish("impersonate", _AUTHENTICATION, "uids", name=uid)


def _groups(name: str, given: list[str]) -> tuple[str, ...]:
    """Of a service account its own if none are given; everybody but the anonymous one has proved
    who they are, by the one who speaks for them."""
    account = split_user(name)
    groups = list(groups_of(account[0])) if account and not given else given
    mark = UNAUTHENTICATED if name == ANONYMOUS else AUTHENTICATED
    marked = AUTHENTICATED in groups or UNAUTHENTICATED in groups
    return tuple(groups if marked else [*groups, mark])
