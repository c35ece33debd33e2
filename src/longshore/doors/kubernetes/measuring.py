"""What /metrics tells of the API, under upstream's names
(apiserver/pkg/endpoints/metrics/metrics.go): requests, how long they took, and what is stored."""

from __future__ import annotations

import resource

from longshore.base.clock import Clock
from longshore.base.metrics import Counter, Histogram, gauge
from longshore.core.objects.kinds import Kinds
from longshore.core.registry.reads import Reader
from longshore.doors.kit.http import AnyReply, Request, StreamReply
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


class Measured:
    """Counts requests, cheaply, and writes it all down when asked."""

    def __init__(self, registry: Reader, kinds: Kinds, clock: Clock) -> None:
        self._kinds = kinds
        self._registry = registry
        self._clock = clock
        self._inflight = {"mutating": 0, "readOnly": 0}
        self._requests = Counter(
            "apiserver_request_total", "Requests, by what they were about and how they ended.",
            (*_LABELS, "code"),
        )  # fmt: skip
        self._durations = Histogram(
            "apiserver_request_duration_seconds",
            "Seconds from a request to its answer; watches and logs are left out.",
            _LABELS, _BOUNDS,
        )  # fmt: skip
        self._known: dict[tuple[object, ...], tuple[str, ...]] = {}

    def begin(self, request: Request) -> float:
        """When the request began, for end()."""
        self._inflight["mutating" if request.method in _MUTATING else "readOnly"] += 1
        return self._clock.monotonic()

    def left(self, request: Request) -> None:
        """The request is answered, or its client is gone."""
        self._inflight["mutating" if request.method in _MUTATING else "readOnly"] -= 1

    def answered(
        self, request: Request, target: Target | None, reply: AnyReply, began: float
    ) -> None:
        labels = self._labels(request, target)
        if isinstance(reply, StreamReply):
            self._requests.add((*labels, str(reply.status)))
            return
        self._requests.add((*labels, str(getattr(reply, "status", 101))))
        self._durations.observe(labels, self._clock.monotonic() - began)

    def _labels(self, request: Request, target: Target | None) -> tuple[str, ...]:
        method, query = request.method, request.query
        if target is None:
            return method, "", "", "", "", "", "", _COMPONENT
        below = target.subresource
        # Only names that are served: a label is kept for good.
        known = below if below in target.kind.subresources else ""
        watches = "watch" in query and flag(query, "watch")
        dry_run = "All" if "dryRun" in query else ""
        key = method, target.kind, known, not target.name, not target.namespace, watches, dry_run
        found = self._known.get(key)
        if found is None:
            kind, verb = target.kind, _verb(method, target, watches=watches)
            found = self._known[key] = (
                verb, kind.group, kind.version, kind.plural, known, _scope(target), dry_run,
                _COMPONENT,
            )  # fmt: skip
        return found

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        inflight = (((kind,), float(count)) for kind, count in self._inflight.items())
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
        return "\n".join([*lines, ""]).encode()


def _verb(method: str, target: Target, *, watches: bool) -> str:
    if method in ("GET", "HEAD"):
        return "WATCH" if watches else "GET" if target.name else "LIST"
    return "DELETECOLLECTION" if method == "DELETE" and not target.name else method


def _scope(target: Target) -> str:
    if target.name:
        return "resource"
    return "namespace" if target.namespace else "cluster"
