"""What /metrics tells of the API, under upstream's names
(apiserver/pkg/endpoints/metrics/metrics.go): requests, how long they took, and what is stored."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from dataclasses import dataclass, field

from longshore.base.clock import Clock
from longshore.base.metrics import Counter, Histogram, Labels, gauge
from longshore.core.objects.kinds import Kinds
from longshore.core.registry.reads import Reader
from longshore.doors.kit.http import AnyReply, Request, StreamReply, Takeover
from longshore.doors.kubernetes.translate import Target, flag

_LABELS = (
    "verb", "group", "version", "resource", "subresource", "scope", "dry_run", "component",
)  # fmt: skip
# In seconds, as upstream's.
_BOUNDS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30,
    45, 60,
)  # fmt: skip
_MUTATING = frozenset(("POST", "PUT", "PATCH", "DELETE"))
_COMPONENT = "apiserver"


@dataclass(slots=True)
class _Series:
    """What is counted under one combination of labels; ended is by status."""

    labels: Labels
    durations: list[float]
    ended: dict[int, int] = field(default_factory=dict)


class Measured:
    """Counts requests, cheaply, and writes it all down when asked."""

    def __init__(self, registry: Reader, kinds: Kinds, clock: Clock) -> None:
        self._kinds = kinds
        self._registry = registry
        self._clock = clock
        self._inflight = {True: 0, False: 0}  # by whether they change something
        self._requests = Counter(
            "apiserver_request_total", "Requests, by what they were about and how they ended.",
            (*_LABELS, "code"),
        )  # fmt: skip
        self._durations = Histogram(
            "apiserver_request_duration_seconds",
            "Seconds from a request to its answer; watches and logs are left out.",
            _LABELS, _BOUNDS,
        )  # fmt: skip
        self._known: dict[tuple[object, ...], _Series] = {}
        self._labelled: dict[Labels, _Series] = {}

    def begin(self, request: Request) -> float:
        """When the request began, for end()."""
        self._inflight[request.method in _MUTATING] += 1
        return self._clock.monotonic()

    def left(self, request: Request) -> None:
        """The request is answered, or its client is gone."""
        self._inflight[request.method in _MUTATING] -= 1

    def answered(
        self, request: Request, target: Target | None, reply: AnyReply, began: float
    ) -> None:
        series = self._of(request, target)
        status = 101 if isinstance(reply, Takeover) else reply.status
        series.ended[status] = series.ended.get(status, 0) + 1
        if not isinstance(reply, StreamReply | Takeover):
            self._durations.put(series.durations, self._clock.monotonic() - began)

    def _of(self, request: Request, target: Target | None) -> _Series:
        if target is None:
            key: tuple[object, ...] = (request.method,)
        else:
            query = request.query
            key = (
                request.method, target.kind, target.subresource, not target.name,
                not target.namespace, bool(query) and flag(query, "watch"), "dryRun" in query,
            )  # fmt: skip
        return self._known.get(key) or self._new(key, target)

    def _new(self, key: tuple[object, ...], target: Target | None) -> _Series:
        watches, dry_run = bool(target and key[-2]), bool(target and key[-1])
        labels = _labels(str(key[0]), target, watches=watches, dry_run=dry_run)
        series = self._labelled.setdefault(labels, _Series(labels, self._durations.cell(labels)))
        # Paths may name subresources that there are not: they share labels, and are not kept.
        if (
            target is None
            or not target.subresource
            or target.subresource in target.kind.subresources
        ):
            self._known[key] = series
        return series

    def text(self, more: Iterable[str] = ()) -> bytes:
        """All of it and more lines, as Prometheus reads it."""
        names = {True: "mutating", False: "readOnly"}
        inflight = (((names[kind],), float(count)) for kind, count in self._inflight.items())
        for series in self._labelled.values():
            for status, count in series.ended.items():
                self._requests.values[(*series.labels, str(status))] = count
        shelves = [(kind.resource, self._registry.cache.shelf(kind)) for kind in self._kinds.stored]
        objects = (((name,), float(len(shelf))) for name, shelf in shelves)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        lines = [
            *self._requests.lines(), *self._durations.lines(),
            *gauge(
                "apiserver_current_inflight_requests", "Requests that are not answered yet.",
                ("request_kind",), inflight,
            ),
            *gauge("apiserver_storage_objects", "Stored objects.", ("resource",), objects),
            *gauge(
                "process_cpu_seconds_total", "Seconds of processor time.", (),
                [((), usage.ru_utime + usage.ru_stime)],
            ),
            *gauge(
                "process_max_resident_memory_bytes", "The most memory there ever was.", (),
                [((), usage.ru_maxrss * 1024.0)],
            ),
        ]  # fmt: skip
        return "\n".join([*lines, *more, ""]).encode()


def _labels(method: str, target: Target | None, *, watches: bool, dry_run: bool) -> Labels:
    if target is None:
        return method, "", "", "", "", "", "", _COMPONENT
    kind, below = target.kind, target.subresource
    return (
        _verb(method, target, watches=watches), kind.group, kind.version, kind.plural,
        below if below in kind.subresources else "", _scope(target), "All" if dry_run else "",
        _COMPONENT,
    )  # fmt: skip


def _verb(method: str, target: Target, *, watches: bool) -> str:
    if method in ("GET", "HEAD"):
        return "WATCH" if watches else "GET" if target.name else "LIST"
    return "DELETECOLLECTION" if method == "DELETE" and not target.name else method


def _scope(target: Target) -> str:
    if target.name:
        return "resource"
    return "namespace" if target.namespace else "cluster"
