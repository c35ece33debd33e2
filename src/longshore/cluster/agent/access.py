"""Who else than the server may read what a node tells: the server is asked (kubelet authentication and authorisation:
webhook). By a token or a certificate of the cluster's authority; nobody else may anything here.

Resources: pkg/kubelet/server/auth.go and KEP-2862 (fine-grained authorisation).
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import Generic, Protocol, TypeVar

from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create
from longshore.doors.kit.http import Request

T = TypeVar("T")
# k8s.io/kubelet/config/v1beta1: authentication.webhook.cacheTTL, authorization.webhook.cache*TTL
_KNOWN_S, _ALLOWED_S, _REFUSED_S = 120.0, 300.0, 30.0
_REMEMBERED_MAX = 1024
_VERBS = {"GET": "get", "HEAD": "get"}


def subresources(path: str) -> tuple[str, ...]:
    """Of nodes: whoever may one of these may read the path; none for what only the server may."""
    match path.strip("/").split("/"):
        case ["stats", *_]:
            return ("stats", "proxy")
        case ["metrics", *_]:
            return ("metrics", "proxy")
        case ["pods"] | ["runningpods"]:
            return ("pods", "proxy")
        case ["configz"]:
            return ("configz", "proxy")
    return ()


class Asked(Protocol):
    """A server, as far as it is asked. write raises ApiError and OSError."""

    async def write(self, operation: Create) -> Doc: ...


class NodeAccess:
    """Asks the server who somebody is and what they may do, and remembers it for a while."""

    def __init__(self, client: Asked, node: str, clock: Clock) -> None:
        self._client = client
        self._node = node
        self._users: _Remembered[User | None] = _Remembered(clock)
        self._answers: _Remembered[bool] = _Remembered(clock)

    async def refusal(self, request: Request) -> tuple[int, str] | None:
        """Status and sentence; None if the request may be answered. Raises ApiError and OSError if nobody
        could be asked."""
        wanted = subresources(request.path)
        if not wanted or request.method not in _VERBS:
            return 403, "only the cluster's server may ask a node"
        who = request.user or await self._bearer(request.headers.get("authorization", ""))
        if who is None:
            return 401, "Unauthorized"
        for subresource in wanted:
            if await self._may(who, subresource):
                return None
        return 403, (f"Forbidden (user={who.name}, verb=get, resource=nodes, "
                     f"subresource(s)=[{' '.join(wanted)}])")  # fmt: skip

    async def _bearer(self, header: str) -> User | None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        key = sha256(token.encode()).hexdigest()
        known, user = self._users.get(key)
        if not known:
            review = Create(kinds.TOKEN_REVIEW, {"spec": {"token": token}})
            user = _user((await self._client.write(review)).get("status") or {})
            self._users.put(key, user, _KNOWN_S)
        return user

    async def _may(self, who: User, subresource: str) -> bool:
        key = f"{who.name}\n{who.uid}\n{' '.join(who.groups)}\n{subresource}"
        known, may = self._answers.get(key)
        if not known:
            review = Create(kinds.SUBJECT_ACCESS_REVIEW, self._question(who, subresource))
            answer = (await self._client.write(review)).get("status") or {}
            may = bool(answer.get("allowed"))
            self._answers.put(key, may, _ALLOWED_S if may else _REFUSED_S)
        return bool(may)

    def _question(self, who: User, subresource: str) -> Doc:
        attributes = {"verb": "get", "version": "v1", "resource": "nodes", "name": self._node,
                      "subresource": subresource}  # fmt: skip
        asker: Doc = {"user": who.name, "groups": list(who.groups), "uid": who.uid}
        asker["extra"] = {name: list(values) for name, values in who.extra}
        return {"spec": {**asker, "resourceAttributes": attributes}}


def _user(status: Doc) -> User | None:
    if not status.get("authenticated"):
        return None
    said = status["user"]
    extra = tuple((name, tuple(values)) for name, values in (said.get("extra") or {}).items())
    return User(said["username"], tuple(said.get("groups") or ()), said.get("uid", ""), extra)


class _Remembered(Generic[T]):
    """A bounded number of answers, each for a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def get(self, key: str) -> tuple[bool, T | None]:
        """Whether it is known, and what."""
        until, value = self._kept.get(key, (0.0, None))
        return (True, value) if until > self._clock.monotonic() else (False, None)

    def put(self, key: str, value: T, seconds: float) -> None:
        self._kept[key] = (self._clock.monotonic() + seconds, value)
        self._kept.move_to_end(key)
        while len(self._kept) > _REMEMBERED_MAX:
            self._kept.popitem(last=False)
