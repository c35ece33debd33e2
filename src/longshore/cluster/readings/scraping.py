"""The reader of what pods say of themselves: they are asked when somebody wants to know, and nothing is
polled meanwhile.

An answer is good for FRESH_S. The last few of each pod are kept, since of a counter it is the growth that
is of interest: whoever asks every 15 seconds, as autoscalers do, hears of it from the second time on.
Everything is bounded: a pod's answer in time, size and series; the pods that are asked at a time; those of
which anything is kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from longshore.base.clock import Clock
from longshore.cluster.readings.asking import UnderWay, within
from longshore.cluster.readings.exposition import Labels, Samples, parse, shown_name
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.exposure import HOLLOW, exposure_of
from longshore.core.objects.kinds import Doc
from longshore.core.registry.registry import Registry
from longshore.core.streams.protocols import Ask, Streams
from longshore.core.streams.samples import FRESH_S
from longshore.core.streams.series import Series

# A pod has this long to answer; so many are asked at once. Those whose turn does not come within a
# round are left out, so that many silent ones do not hold up whoever asked.
_PATIENCE_S = 3.0
_AT_ONCE = 32
_ROUND_S = 10.0
_ANSWER_MAX_BYTES = 512 * 1024
# A rate is that between the newest answer and the oldest within so much time.
_RATE_S = 120.0
_ANSWERS_KEPT = 10
# Pods of which answers are kept, and series of all of them together (about 200 bytes each).
_PODS_KEPT = 5000
_SERIES_KEPT = 200_000
_ACCEPT = "text/plain;version=0.0.4"


class Asking(Protocol):
    """How one pod is asked."""

    async def text(self, pod: Doc) -> str:
        """What it says; empty if it cannot be asked. Raises ApiError, OSError."""


class ByAddress:
    """Real pods, over the cluster's own network, at their own address alone."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def text(self, pod: Doc) -> str:
        at = exposure_of(pod)
        if at is None:
            return ""
        headers = (
            ("Host", f"{at.host}:{at.port}"), ("Accept", _ACCEPT), ("Connection", "close"),
            ("Content-Length", "0"),
        )  # fmt: skip
        answer = await self._streams.ask_address(
            "http", at.host, at.port, Ask("GET", at.path, headers)
        )
        try:
            body = b""
            while answer.status == 200 and (piece := await answer.read()):
                body += piece
                if len(body) > _ANSWER_MAX_BYTES:
                    return ""
        finally:
            answer.close()
        return body.decode(errors="replace")


class ByAnnotation:
    """Hollow pods."""

    async def text(self, pod: Doc) -> str:
        return str((pod["metadata"].get("annotations") or {}).get(HOLLOW) or "")


@dataclass(frozen=True, slots=True)
class _Answer:
    at: float
    samples: Samples


class _Pod:
    """What one pod said lately, oldest first."""

    def __init__(self) -> None:
        self.asked = float("-inf")
        self.answers: deque[_Answer] = deque(maxlen=_ANSWERS_KEPT)

    def size(self) -> int:
        return sum(len(one.samples) for one in self.answers)

    def series(self, metric: str) -> Iterator[tuple[Labels, float, float]]:
        """Labels, value and window of that metric's series."""
        if not self.answers:
            return
        newest = self.answers[-1]
        for (name, labels), sample in newest.samples.items():
            if shown_name(name, grows=sample.grows) == metric:
                value, window = sample.value, FRESH_S
                if sample.grows:
                    value, window = self._rate(name, labels, newest.at)
                if window:
                    yield labels, value, window

    def _rate(self, name: str, labels: Labels, now: float) -> tuple[float, float]:
        """A second, and the time it was measured over; no time if it is not known yet. A counter that
        ran backwards began anew."""
        recent = [one for one in self.answers if one.at >= now - _RATE_S]
        known = [
            (one.at, one.samples[name, labels].value)
            for one in recent
            if (name, labels) in one.samples
        ]
        grown = sum(
            later - earlier if later >= earlier else later
            for (_, earlier), (_, later) in pairwise(known)
        )
        window = known[-1][0] - known[0][0]
        return (grown / window, window) if window else (0.0, 0.0)


class Scraper:
    """An Exposed. Who asks about pods that were asked a moment ago shares what they said."""

    def __init__(self, registry: Registry, asking: Asking, clock: Clock) -> None:
        self._registry = registry
        self._asking = asking
        self._clock = clock
        self._under_way = UnderWay()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        # By uid, the one that was asked last at the end.
        self._pods: OrderedDict[str, _Pod] = OrderedDict()
        self._series = 0
        # Looked up in all that is kept, so not for everybody anew.
        self._names: list[str] = []
        self._names_until = float("-inf")

    async def of_pods(self, namespace: str, pods: Iterable[str], metric: str) -> Sequence[Series]:
        """See Exposed."""
        found = (self._registry.cache.get(kinds.POD, namespace, name) for name in pods)
        return await self._of([pod for pod in found if pod is not None], metric)

    async def of_namespace(self, namespace: str, metric: str) -> Sequence[Series]:
        """See Exposed."""
        return await self._of(self._registry.cache.indexed(kinds.POD, "exposed", namespace), metric)

    def known(self) -> Iterable[str]:
        """See Exposed."""
        now = self._clock.monotonic()
        if now >= self._names_until:
            self._names, self._names_until = self._named(), now + FRESH_S
        return self._names

    def _named(self) -> list[str]:
        names = set[str]()
        for pod in self._pods.values():
            for (name, _), sample in pod.answers[-1].samples.items() if pod.answers else ():
                names.add(shown_name(name, grows=sample.grows))
        return sorted(names)

    async def _of(self, pods: Sequence[Doc], metric: str) -> list[Series]:
        running = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
        stale = [pod for pod in running if self._is_stale(pod["metadata"]["uid"])]
        until = self._clock.monotonic() + _ROUND_S
        async with asyncio.TaskGroup() as crew:
            for pod in stale[:_PODS_KEPT]:
                crew.create_task(self._ask(pod, until))
        return [one for pod in running for one in self._said(pod, metric)]

    def _is_stale(self, uid: str) -> bool:
        known = self._pods.get(uid)
        return known is None or self._clock.now() - known.asked >= FRESH_S

    async def _ask(self, pod: Doc, until: float) -> None:
        uid = pod["metadata"]["uid"]
        async with self._slots, self._under_way.alone(uid):
            if self._is_stale(uid) and self._clock.monotonic() < until:
                text = await within(self._clock, _PATIENCE_S, self._text(pod))
                self._keep(uid, text or "")

    def _keep(self, uid: str, text: str) -> None:
        kept = self._pods.setdefault(uid, _Pod())
        self._pods.move_to_end(uid)
        kept.asked = now = self._clock.now()
        self._series -= kept.size()
        if samples := parse(text):
            kept.answers.append(_Answer(now, samples))
        else:
            kept.answers.clear()
        self._series += kept.size()
        self._forget()

    async def _text(self, pod: Doc) -> str:
        try:
            return await self._asking.text(pod)
        except (ApiError, OSError):
            return ""

    def _forget(self) -> None:
        """Whoever was asked longest ago goes first; and whoever nobody asked about for long."""
        oldest = self._clock.now() - 2 * _RATE_S
        while self._pods:
            uid, pod = next(iter(self._pods.items()))
            full = len(self._pods) > _PODS_KEPT or self._series > _SERIES_KEPT
            if not full and pod.asked >= oldest:
                return
            self._series -= pod.size()
            del self._pods[uid]

    def _said(self, pod: Doc, metric: str) -> Iterator[Series]:
        kept = self._pods.get(pod["metadata"]["uid"])
        if kept is not None and kept.answers:
            at, name = kept.answers[-1].at, pod["metadata"]["name"]
            for labels, value, window_s in kept.series(metric):
                yield Series(name, dict(labels), value, at, window_s)
