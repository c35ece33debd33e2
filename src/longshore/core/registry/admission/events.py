"""EventRateLimit: a flood of Events from one tenant does not reach the store
(plugin/pkg/admission/eventratelimit)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import TooManyRequests
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.admission.surroundings import EventLimit, Surroundings

_ABOUT = ("kind", "namespace", "name", "uid", "apiVersion")


class Buckets:
    """Token buckets of one limit, told apart by key; the longest unused are forgotten."""

    def __init__(self, limit: EventLimit, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """One token, if there is one."""
        now = self._clock.monotonic()
        tokens, since = self._filled.pop(key, (float(self._limit.burst), now))
        tokens = min(self._limit.burst, tokens + (now - since) * self._limit.qps)
        taken = tokens >= 1
        self._filled[key] = (tokens - 1 if taken else tokens), now
        if len(self._filled) > self._limit.cache_size:
            self._filled.popitem(last=False)
        return taken


def _source_and_object(request: Attributes) -> str:
    source = request.doc.get("source") or {}
    about = request.doc.get("involvedObject") or {}
    parts = [source.get("component", ""), source.get("host", "")]
    return "".join(parts + [about.get(field, "") for field in _ABOUT])


_KEYS: dict[str, Callable[[Attributes], str]] = {
    "Server": lambda _: "",
    "Namespace": lambda request: request.namespace,
    "User": lambda request: request.who.name if request.who is not None else "",
    "SourceAndObject": _source_and_object,
}
LIMIT_TYPES = tuple(_KEYS)


class _Limits:
    def __init__(self, around: Surroundings) -> None:
        limits = around.config.event_limits
        self._limits = [(limit.type, Buckets(limit, around.clock)) for limit in limits]

    def check(self, request: Attributes) -> None:
        if request.dry_run:
            return
        keyed = [(type_, _KEYS[type_](request), buckets) for type_, buckets in self._limits]
        # Each limit counts the Event, whatever the others say of it.
        full = [(type_, key) for type_, key, buckets in keyed if not buckets.take(key)]
        said = [f"limit reached on type {type_} for key {key}" for type_, key in full]
        if said:
            raise TooManyRequests(said[0] if len(said) == 1 else f"[{', '.join(said)}]")


def hooks(around: Surroundings) -> Hooks:
    limits = _Limits(around)
    return Hooks(checks=(Hook(limits.check, (kinds.EVENT,), ("create", "update")),))
