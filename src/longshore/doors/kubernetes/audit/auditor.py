"""Tells of requests what the policy wants told: when they come, when they are answered, and when a
long answer is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from gzip import decompress as gunzip
from typing import Any, NamedTuple

from longshore.base.clock import Clock, rfc3339_micro
from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import NOTES
from longshore.core.registry.wishes import ANONYMOUS, UNAUTHENTICATED, Verdict
from longshore.doors.kit.http import (
    AnyReply,
    Ending,
    Reply,
    Request,
    SlicedReply,
    StreamReply,
    Takeover,
    Wire,
)
from longshore.doors.kubernetes.audit import events, policy
from longshore.doors.kubernetes.audit.policy import Deed, Judgement, Policy
from longshore.doors.kubernetes.audit.trail import AuditLog
from longshore.doors.kubernetes.requested import TALKS, VERBS
from longshore.doors.kubernetes.translate import Target, flag

_READS = ("get", "list", "watch", "head")
_NOBODY = User(ANONYMOUS, (UNAUTHENTICATED,))
_OWN = "longshore.io/"
_DECISION, _REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"
_KNOWN_MAX = 4096
_NOTHING: Doc = {}


class Auditor:
    """One for a door."""

    def __init__(self, rules: Policy, log: AuditLog, clock: Clock) -> None:
        self._policy = rules
        self._known: dict[tuple[Hashable, ...], _Known] = {}
        self.log = log
        self.clock = clock

    def begin(
        self, request: Request, asker: User, who: User, target: Target | None, audit_id: str
    ) -> Entry | None:
        """None if nothing is to be told. Raises Unavailable for a change that could not be."""
        NOTES.set(None)
        known = self._of_kind(request, asker, target)
        if known.judgement.level == policy.NONE:
            return None
        if known.changes:
            self.log.check_room()
        entry = Entry(self, request, known, events.event(request, known.told, target, audit_id))
        if who is not asker:
            entry.told["impersonatedUser"] = events.user(who)
        NOTES.set(entry.annotations)
        entry.tell(policy.RECEIVED)
        return entry

    def _of_kind(self, request: Request, asker: User, target: Target | None) -> _Known:
        key = _key(request, asker, target)
        if self._policy.by_name and target is not None:
            key = (*key, target.name)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            deed = _deed(request, asker, target)
            judgement = self._policy.judge(deed)
            told = events.common(deed, judgement.level)
            found = self._known[key] = _Known(judgement, deed.verb not in _READS, told)
        return found

    def unknown(self, request: Request, target: Target | None, audit_id: str) -> Entry | None:
        """Of a request by somebody who did not prove to be anybody."""
        return self.begin(request, _NOBODY, _NOBODY, target, audit_id)


class _Known(NamedTuple):
    """What is the same for all requests of one kind by one user."""

    judgement: Judgement
    changes: bool
    told: Doc


class Entry:
    """One request that is told of."""

    def __init__(self, auditor: Auditor, request: Request, known: _Known, told: Doc) -> None:
        self._auditor = auditor
        self._judgement = known.judgement
        self.told = told
        told["requestReceivedTimestamp"] = rfc3339_micro(auditor.clock.now())
        self._bodies: dict[str, Any] = {}
        self.annotations: dict[str, str] = {}
        if known.judgement.level in (policy.REQUEST, policy.RESPONSE):
            self._add("requestObject", request.body, request.headers.get("content-type", ""))
        if told.get("objectRef", _NOTHING).get("subresource") in TALKS:
            self.annotations[f"{_OWN}command"] = " ".join(request.query.get("command", ()))

    def judged(self, verdict: Verdict) -> None:
        """Whether it is allowed, and by what (apiserver/pkg/endpoints/filters/authorization.go)."""
        self.annotations[_DECISION] = "allow" if verdict.allowed else "forbid"
        self.annotations[_REASON] = verdict.reason

    def tell(self, stage: str, status: Doc | None = None) -> None:
        judgement, auditor = self._judgement, self._auditor
        if judgement.tells(stage):
            more = {**self._bodies, "annotations": self.annotations, "responseStatus": status}
            auditor.log.put(events.line(self.told, stage, auditor.clock.now(), more))

    def answered(self, reply: AnyReply) -> AnyReply:
        """The reply, which may have become one that tells of its end."""
        if isinstance(reply, SlicedReply) and self._judgement.level == policy.RESPONSE:
            slices = list(reply.slices)
            reply.slices = iter(slices)
            body = b"".join(slices)
            packed = reply.headers.get("Content-Encoding") == "gzip"
            self._add("responseObject", gunzip(body) if packed else body, reply.content_type)
        if isinstance(reply, StreamReply):
            self._started(reply.status)
            reply.pieces = Ending(reply.pieces, self._over(reply.status))
        elif isinstance(reply, Takeover):
            self._started(101)
            reply.talk = self._talking(reply.talk)
        else:
            self._complete(reply)
        return reply

    def panicked(self) -> None:
        """The last that is told of a request that met a fault of ours."""
        said = {"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500}
        self.tell(policy.PANIC, said)

    def _complete(self, reply: Reply | SlicedReply) -> None:
        body = reply.body if isinstance(reply, Reply) else b""
        if body and self._judgement.level == policy.RESPONSE:
            self._add("responseObject", body, reply.content_type)
        self.tell(policy.COMPLETE, events.status_of(reply.status, body))

    def _started(self, code: int) -> None:
        self.tell(policy.STARTED, {"metadata": {}, "code": code})

    def _over(self, code: int) -> Callable[[], None]:
        return lambda: self.tell(policy.COMPLETE, {"metadata": {}, "code": code})

    def _talking(
        self, talk: Callable[[Wire], Awaitable[None]]
    ) -> Callable[[Wire], Awaitable[None]]:
        async def talked(wire: Wire) -> None:
            try:
                await talk(wire)
            finally:
                self._over(101)()

        return talked

    def _add(self, part: str, body: bytes, media: str) -> None:
        bare = self._judgement.without_managed_fields
        doc = events.object_of(body, media, without_managed_fields=bare)
        if doc is not None:
            self._bodies[part] = doc


def _key(request: Request, who: User, target: Target | None) -> tuple[Hashable, ...]:
    """Everything that _deed looks at but the name, without making anything of it."""
    if target is None:
        return who, request.method, request.path
    watches = "watch" in request.query and flag(request.query, "watch")
    return (
        who, request.method, target.kind, target.namespace, not target.name, target.subresource, watches,
    )  # fmt: skip


def _deed(request: Request, who: User, target: Target | None) -> Deed:
    if target is None:
        return Deed(who, request.method.lower(), path=request.path)
    verb = VERBS.get((request.method, target.shape), request.method.lower())
    if verb == "list" and flag(request.query, "watch"):
        verb = "watch"
    kind = target.kind
    return Deed(
        who,
        verb,
        kind.group,
        kind.version,
        kind.plural,
        target.subresource,
        target.namespace,
        target.name,
    )
