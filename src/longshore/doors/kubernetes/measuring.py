"""What /metrics tells of the API, under upstream's names
(apiserver/pkg/endpoints/metrics/metrics.go): requests, how long they took, how large their answers
were, what is told to watchers, and what is stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from longshore.base import process
from longshore.base.clock import Clock
from longshore.base.metrics import Counter, Histogram, Labels, counter, gauge
from longshore.core.objects.kinds import Kinds
from longshore.core.registry.reads import Reader
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
from longshore.doors.kubernetes.translate import Target, flag
from longshore.doors.kubernetes.watching import Watches

_LABELS = (
    "verb", "group", "version", "resource", "subresource", "scope", "dry_run", "component",
)  # fmt: skip
# In seconds, as upstream's.
_BOUNDS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30,
    45, 60,
)  # fmt: skip
# In bytes, as upstream's. Only reads are measured.
_SIZE_BOUNDS = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
_SIZED = frozenset(("GET", "LIST"))
_MUTATING = frozenset(("POST", "PUT", "PATCH", "DELETE"))
_COMPONENT = "apiserver"


@dataclass(slots=True)
class _Series:
    """What is counted under one combination of labels; ended is by status. sizes are of answers to
    reads, open are the requests whose answer still goes on (None: no such answer was ever given)."""

    labels: Labels
    durations: list[float]
    sizes: list[float] | None
    ended: dict[int, int] = field(default_factory=dict)
    open: int | None = None

    def count_open(self, change: int) -> None:
        self.open = (self.open or 0) + change


class Measured:
    """Counts requests, cheaply, and writes it all down when asked."""

    def __init__(self, registry: Reader, kinds: Kinds, clock: Clock, watches: Watches) -> None:
        self._kinds = kinds
        self._watches = watches
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
        self._sizes = Histogram(
            "apiserver_response_sizes", "Bytes of the answers to reads.", _without_dry_run(_LABELS),
            _SIZE_BOUNDS,
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
        if isinstance(reply, Reply):
            if series.sizes is not None:
                self._sizes.put(series.sizes, len(reply.body))
        elif not isinstance(reply, SlicedReply):
            _follow(series, reply)
            return
        elif series.sizes is not None:
            reply.slices = self._sized(series.sizes, reply.slices)
        self._durations.put(series.durations, self._clock.monotonic() - began)

    def _sized(self, sizes: list[float], slices: Iterator[bytes]) -> Iterator[bytes]:
        total = 0
        for piece in slices:
            total += len(piece)
            yield piece
        self._sizes.put(sizes, total)

    def _of(self, request: Request, target: Target | None) -> _Series:
        if target is None:
            key: tuple[object, ...] = (request.method,)
        else:
            query = request.query
            key = (
                request.method, target.kind, target.subresource, not target.name,
                not target.namespace, bool(query) and not target.name and flag(query, "watch"),
                "dryRun" in query,
            )  # fmt: skip
        return self._known.get(key) or self._new(key, target)

    def _new(self, key: tuple[object, ...], target: Target | None) -> _Series:
        watches, dry_run = bool(target and key[-2]), bool(target and key[-1])
        labels = _labels(str(key[0]), target, watches=watches, dry_run=dry_run)
        series = self._labelled.get(labels) or self._labelled.setdefault(labels, self._made(labels))
        # Paths may name subresources that there are not: they share labels, and are not kept.
        if (
            target is None
            or not target.subresource
            or target.subresource in target.kind.subresources
        ):
            self._known[key] = series
        return series

    def _made(self, labels: Labels) -> _Series:
        sizes = self._sizes.cell(_without_dry_run(labels)) if labels[0] in _SIZED else None
        return _Series(labels, self._durations.cell(labels), sizes)

    def text(self, more: Iterable[str] = ()) -> bytes:
        """All of it and more lines, as Prometheus reads it."""
        names = {True: "mutating", False: "readOnly"}
        inflight = (((names[kind],), float(count)) for kind, count in self._inflight.items())
        for series in self._labelled.values():
            for status, count in series.ended.items():
                self._requests.values[(*series.labels, str(status))] = count
        shelves = [(kind.resource, self._registry.cache.shelf(kind)) for kind in self._kinds.stored]
        objects = (((name,), float(len(shelf))) for name, shelf in shelves)
        lines = [
            *self._requests.lines(), *self._durations.lines(), *self._sizes.lines(),
            *gauge(
                "apiserver_current_inflight_requests", "Requests that are not answered yet.",
                ("request_kind",), inflight,
            ),
            *gauge("apiserver_storage_objects", "Stored objects.", ("resource",), objects),
            *self._long_running(), *self._watched(), *process.lines(),
        ]  # fmt: skip
        return "\n".join([*lines, *more, ""]).encode()

    def _long_running(self) -> Iterator[str]:
        """Requests whose answers go on: watches, logs that are followed, sessions, proxied ones."""
        going = [
            (_without_dry_run(one.labels), float(one.open))
            for one in self._labelled.values()
            if one.open is not None
        ]
        return gauge(
            "apiserver_longrunning_requests", "Requests whose answers still go on.",
            _without_dry_run(_LABELS), going,
        )  # fmt: skip

    def _watched(self) -> Iterator[str]:
        told = [
            ((kind.group, kind.version, kind.plural), float(count))
            for kind, (count,) in self._watches.events.items()
        ]
        return counter(
            "apiserver_watch_events_total", "Events that watchers were told.",
            ("group", "version", "resource"), told,
        )  # fmt: skip


def _without_dry_run(labels: Labels) -> Labels:
    return (*labels[:6], *labels[7:])


def _follow(series: _Series, reply: StreamReply | Takeover) -> None:
    """Count the request as open as long as its answer goes on."""
    if isinstance(reply, StreamReply):
        series.count_open(1)
        reply.pieces = Ending(reply.pieces, lambda: series.count_open(-1))
    else:
        reply.talk = _counted(series, reply.talk)


def _counted(
    series: _Series, talk: Callable[[Wire], Awaitable[None]]
) -> Callable[[Wire], Awaitable[None]]:
    async def talked(wire: Wire) -> None:
        series.count_open(1)
        try:
            await talk(wire)
        finally:
            series.count_open(-1)

    return talked


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
