"""Remembers how requests are classified, as long as no schema and no level changes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.reads import Reader
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes.fairness.levels import Level, Pool
from longshore.doors.kubernetes.fairness.measures import Measures, Series
from longshore.doors.kubernetes.fairness.plan import Asked, Flow, classify, ordered
from longshore.doors.kubernetes.fairness.sharding import deal, flow_hash
from longshore.doors.kubernetes.fairness.work import may_be_wide
from longshore.doors.kubernetes.requested import VERBS
from longshore.doors.kubernetes.translate import Target, flag

_KNOWN_MAX = 4096
_SCHEMA, _LEVEL = "X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"
# What may last as long as its client likes is held by nothing (upstream's long-running requests).
_UNHELD = frozenset(("attach", "exec", "log", "portforward", "proxy"))


@dataclass(frozen=True, slots=True)
class Lane:
    """Where requests like this one of this caller go. headers are of their answers (to be copied,
    not changed); series is where they are counted; level is what holds them (None: nothing does),
    and hand the queues there that are theirs. verb is what they do if that may be wide."""

    headers: dict[str, str] = field(default_factory=dict)
    series: Series | None = None
    level: Level | None = None
    hand: tuple[int, ...] = ()
    verb: str = ""


class Classifier:
    """Tells requests' lanes, and keeps the levels as their objects say."""

    def __init__(self, registry: Reader, pool: Pool, measures: Measures) -> None:
        self._registry = registry
        self._pool = pool
        self._measures = measures
        self._seen: tuple[int, int] = (-1, -1)
        self._schemas: list[Doc] = []
        self._levels: dict[str, Doc] = {}
        self._known: dict[Hashable, Lane] = {}

    def lane(self, who: User, request: Request, target: Target | None) -> Lane:
        key = _key(who, request, target)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            found = self._known[key] = self._lane(who, _asked(request, target), target)
        return found

    def _lane(self, who: User, asked: Asked, target: Target | None) -> Lane:
        flow = classify(who, asked, self._schemas, self._levels)
        if flow is None:
            return _FREE
        headers = {_SCHEMA: flow.schema_uid, _LEVEL: flow.level_uid}
        series, level = self._measures.of(flow.level, flow.schema), self._pool.levels[flow.level]
        if level.exempt or not self._pool.total or (target and target.subresource in _UNHELD):
            return Lane(headers, series=series)
        verb = asked.verb if target and may_be_wide(asked.verb, target) else ""
        return Lane(headers, series, level, _hand(flow, level), verb)

    def changed(self) -> bool:
        """Take over schemas and levels if any has changed since; whether one has."""
        newest = self._newest(kinds.FLOW_SCHEMA), self._newest(kinds.PRIORITY_LEVEL)
        if newest == self._seen:
            return False
        self._seen = newest
        self._known.clear()
        self._schemas = ordered(self._all(kinds.FLOW_SCHEMA))
        self._levels = {doc["metadata"]["name"]: doc for doc in self._all(kinds.PRIORITY_LEVEL)}
        self._pool.configure(self._levels)
        return True

    def _newest(self, kind: Kind) -> int:
        """The revision of a kind's last change that is known of."""
        return self._registry.cache.shelf(kind).history.newest

    def _all(self, kind: Kind) -> list[Doc]:
        return [stored.doc for stored in self._registry.cache.shelf(kind).range(kind.prefix)]


_FREE = Lane()


def _hand(flow: Flow, level: Level) -> tuple[int, ...]:
    queues = level.queues
    return deal(flow_hash(flow.schema, flow.distinguisher), queues.count, queues.hand)


def _key(who: User, request: Request, target: Target | None) -> Hashable:
    """Everything that _asked looks at, without making anything of it."""
    if target is None:
        return who, request.method, request.path
    watches = "watch" in request.query and flag(request.query, "watch")
    return (
        who, request.method, target.kind, target.namespace, not target.name, target.subresource,
        watches,
    )  # fmt: skip


def _asked(request: Request, target: Target | None) -> Asked:
    if target is None:
        return Asked(request.method.lower(), path=request.path)
    verb = VERBS.get((request.method, target.shape), request.method.lower())
    if verb == "list" and flag(request.query, "watch"):
        verb = "watch"
    kind, below = target.kind, target.subresource
    resource = f"{kind.plural}/{below}" if below else kind.plural
    return Asked(verb, kind.group, resource, target.namespace)
