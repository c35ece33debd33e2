"""Kubernetes Events: what the loops tell people about objects, without ever waiting for it.

Repeats become a count, floods are folded together or dropped (as client-go's EventCorrelator does),
and what has gathered is written in one batch.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from longshore.base.clock import Clock, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client, Create, Operation, Patch
from longshore.machinery.loop.giving_way import give_way

T = TypeVar("T")
EventType: TypeAlias = Literal["Normal", "Warning"]

# Remembered Events that a repeat may still be counted on (client-go's cache has 4096 too).
REMEMBERED_MAX = 4096
# Events that wait to be written: more are dropped and counted.
WAITING_MAX = 16_384
# As many as hold the loop for about as long as a turn of the scheduler: a pod may be waiting for its node.
BATCH_MAX = 64
# What comes within this time of the first is written with it.
GATHER_S = 0.1
# After so long a repeat begins a new Event (client-go: ten minutes).
REPEAT_WINDOW_S = 600.0
# That many different messages of one reason about one object are folded into one Event.
SIMILAR_MAX = 10
FOLDED = "(combined from similar events): "


@dataclass(slots=True)
class _Told:
    """One Event as it stands; doc is how it is first written, and let go of then."""

    namespace: str
    name: str
    doc: Doc
    message: str
    count: int
    last: float


class _News(NamedTuple):
    """What happened to which object and when, in seconds since the epoch, and who tells it."""

    about: Doc
    at: float
    component: str
    host: str
    type: str
    reason: str
    message: str
    field: str


@dataclass(slots=True)
class _Similar:
    """The different messages of one reason about one object, and when the last one was told."""

    messages: set[str]
    last: float


_Key: TypeAlias = tuple[str, str, str, str, str, str]


class Recorder:
    """Tells under one component's name; named() gives another voice to the same journal."""

    def __init__(self, journal: Journal, component: str, host: str = "") -> None:
        self._journal = journal
        self._component = component
        self._host = host

    def named(self, component: str) -> Recorder:
        return Recorder(self._journal, component, self._host)

    def event(
        self, about: Doc, type_: EventType, reason: str, message: str, field: str = ""
    ) -> None:
        """Note that something happened to an object, or to a part of it (`spec.containers{main}`). Returns
        at once."""
        at, who = self._journal.clock.now(), (self._component, self._host)
        self._journal.note(_News(about, at, *who, type_, reason, message, field))


class Journal:
    """Gathers Events and writes them in batches; run() does the writing."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self.clock = clock
        self._told: OrderedDict[_Key, _Told] = OrderedDict()
        self._similar: OrderedDict[_Key, _Similar] = OrderedDict()
        self._heard: deque[_News] = deque()
        self._waiting: dict[_Key, _Told] = {}
        self._serial = itertools.count()
        self._some = asyncio.Event()
        self._log = logging.getLogger("longshore.loop.recorder")
        self.dropped = 0

    def recorder(self, component: str, host: str = "") -> Recorder:
        return Recorder(self, component, host)

    def note(self, news: _News) -> None:
        """Take one Event in; see Recorder.event. In a burst of bindings that is asked for at each of
        them, so it is only noted: it is made when it is written."""
        self._heard.append(news)
        if len(self._heard) + len(self._waiting) > WAITING_MAX:
            self._sort(sys.maxsize)
        self._some.set()

    async def run(self) -> None:
        """Write until cancelled. What cannot be written is logged, never retried: it is only news."""
        while True:
            await self._some.wait()
            await self.clock.sleep(GATHER_S)
            self._some.clear()
            while self._sort():
                await self._write_some()
                if self._sort():  # news must not crowd out the writes that it is about
                    await give_way(self.clock)

    async def flush(self) -> None:
        """Write what waits now."""
        self._some.clear()
        while self._sort():
            await self._write_some()

    def _sort(self, most: int = BATCH_MAX) -> bool:
        """Make Events of what was heard, or count it on those there are, until so many wait; whether
        any do."""
        while self._heard and len(self._waiting) < most:
            self._take_in(self._heard.popleft())
        return bool(self._waiting)

    def _take_in(self, news: _News) -> None:
        key, message = self._folded(news)
        if key not in self._waiting and len(self._waiting) >= WAITING_MAX:
            self.dropped += 1
            return
        told = self._told.get(key)
        if told is None or news.at - told.last >= REPEAT_WINDOW_S:
            told = self._first(news, message)
            _remember(self._told, key, told)
            self._forget_before(news.at - REPEAT_WINDOW_S)
        else:
            told.count, told.last, told.message = told.count + 1, news.at, message
            self._told.move_to_end(key)
        self._waiting[key] = told

    def _forget_before(self, at: float) -> None:
        """What nothing can be counted on any more; the oldest come first."""
        while next(iter(self._told.values())).last <= at:
            self._told.popitem(last=False)

    async def _write_some(self) -> None:
        """One batch of what waits."""
        batch = dict(itertools.islice(self._waiting.items(), BATCH_MAX))
        for key in batch:
            del self._waiting[key]
        operations = [_operation(told) for told in batch.values()]
        for told in batch.values():
            told.doc = {}
        try:
            self._judge(batch, await self._client.submit(operations))
        except ApiError as error:
            self._log.warning("events not written: %s", error.message)

    def _judge(self, batch: dict[_Key, _Told], answers: list[Doc | ApiError]) -> None:
        for (key, told), answer in zip(batch.items(), answers, strict=True):
            if isinstance(answer, ApiError):
                # Expired by its time to live, or gone with its namespace: begin anew next time.
                if self._told.get(key) is told:
                    del self._told[key]
                self._log.debug("event not written: %s", answer.message)

    def _folded(self, news: _News) -> tuple[_Key, str]:
        """Under which key this is counted, and how it reads."""
        uid = news.about["metadata"].get("uid", "")
        group = (uid, news.component, news.type, news.reason, news.field, "")
        similar = self._similar.get(group)
        if similar is None or news.at - similar.last >= REPEAT_WINDOW_S:
            similar = _Similar(set(), news.at)
            _remember(self._similar, group, similar)
        similar.last = news.at
        if news.message not in similar.messages and len(similar.messages) >= SIMILAR_MAX:
            return group, FOLDED + news.message
        similar.messages.add(news.message)
        return (*group[:5], news.message), news.message

    def _first(self, news: _News, message: str) -> _Told:
        metadata, now = news.about["metadata"], news.at
        namespace = metadata.get("namespace") or "default"
        # client-go names them by the nanosecond; the serial keeps two of one instant apart.
        name = f"{metadata['name']}.{int(now * 1e9) + next(self._serial):x}"
        doc = {
            "apiVersion": kinds.EVENT.api_version,
            "kind": kinds.EVENT.name,
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": _reference(news.about, news.field),
            "reason": news.reason,
            "type": news.type,
            "source": {"component": news.component} | ({"host": news.host} if news.host else {}),
            "firstTimestamp": rfc3339(now),
            "reportingComponent": news.component,
            "reportingInstance": news.host,
        }
        return _Told(namespace, name, doc, message, 1, now)


def _reference(about: Doc, part: str) -> Doc:
    metadata = about["metadata"]
    reference = {"apiVersion": about["apiVersion"], "kind": about["kind"], "name": metadata["name"]}
    for field in ("namespace", "uid", "resourceVersion"):
        if metadata.get(field):
            reference[field] = metadata[field]
    if part:
        reference["fieldPath"] = part
    return reference


def _operation(told: _Told) -> Operation:
    newest = {"message": told.message, "count": told.count, "lastTimestamp": rfc3339(told.last)}
    if told.doc:
        return Create(kinds.EVENT, told.doc | newest)
    return Patch(kinds.EVENT, told.namespace, told.name, newest)


def _remember(memory: OrderedDict[_Key, T], key: _Key, value: T) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED_MAX:
        memory.popitem(last=False)
