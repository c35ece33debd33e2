"""Send pod statuses to the API server: the newest of each pod only, many pods in one call.

While one batch is under way the next gathers, so a busy node needs few calls and an idle one
waits for nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import (
    ApiError,
    InsufficientStorage,
    InternalError,
    TooManyRequests,
    Unavailable,
)
from longshore.core.objects.errors import Timeout as ApiTimeout
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client, Delete, DeleteOptions, Operation, Patch

_log = logging.getLogger("longshore.kubelet.status")
_RETRY_S = 1.0
# Worth another try: the server was busy, away or without room; the request itself was not refused.
TRANSIENT = (Unavailable, TooManyRequests, ApiTimeout, InternalError, InsufficientStorage)


@dataclass(slots=True)
class _Report:
    namespace: str
    name: str
    uid: str
    status: Doc
    final: bool = False
    done: list[asyncio.Future[None]] = field(default_factory=list)

    def operations(self) -> list[Operation]:
        patch: Doc = {"metadata": {"uid": self.uid}, "status": self.status}
        operations: list[Operation] = [
            Patch(kinds.POD, self.namespace, self.name, patch, "status"),
        ]
        if self.final:
            options = DeleteOptions(grace_s=0, uid=self.uid)
            operations.append(Delete(kinds.POD, self.namespace, self.name, options))
        return operations


class Writer(Protocol):
    """Who takes reports of pods."""

    def put(self, pod: Doc, status: Doc) -> None:
        """A status to be told soon."""

    async def finish(self, pod: Doc, status: Doc) -> None:
        """The last one: nothing of the pod is left on the node."""


class StatusWriter:
    """One per agent; run() does the writing. There is at most one report per pod that waits."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._waiting: dict[str, _Report] = {}
        self._some = asyncio.Event()
        self._quiet = asyncio.Event()

    async def idle(self) -> None:
        """Return once all that was put is told."""
        while self._waiting or not self._quiet.is_set():
            await self._quiet.wait()

    def put(self, pod: Doc, status: Doc) -> None:
        """Report a status soon. Returns at once; a newer one takes its place."""
        self._add(pod, status, final=False)

    async def finish(self, pod: Doc, status: Doc) -> None:
        """Report the last status, then delete the pod. Returns when the API server knows."""
        report = self._add(pod, status, final=True)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        report.done.append(done)
        await done

    def _add(self, pod: Doc, status: Doc, *, final: bool) -> _Report:
        metadata = pod["metadata"]
        report = _Report(metadata["namespace"], metadata["name"], metadata["uid"], status, final)
        if (old := self._waiting.get(report.uid)) is not None and old.final:
            return old
        self._waiting[report.uid] = report
        self._quiet.clear()
        self._some.set()
        return report

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            if not self._waiting:
                self._quiet.set()
            await self._some.wait()
            self._some.clear()
            batch = list(self._waiting.values())
            self._waiting.clear()
            if batch and not await self._send(batch):
                await self._clock.sleep(_RETRY_S)
                self._some.set()

    async def _send(self, batch: Sequence[_Report]) -> bool:
        """Whether everything is settled; what is not waits again unless something newer does."""
        operations = [operation for report in batch for operation in report.operations()]
        try:
            answers: list[Doc | ApiError] = await self._client.submit(operations)
        except (ApiError, OSError) as error:
            _log.warning("%d pod statuses not written: %s", len(batch), error)
            answers = [Unavailable(str(error))] * len(operations)
        left, settled = iter(answers), True
        for report in batch:
            settled &= self._judge(report, [next(left) for _ in report.operations()])
        return settled

    def _judge(self, report: _Report, answers: Sequence[Doc | ApiError]) -> bool:
        """A pod that is gone or replaced needs no status: NotFound and Conflict settle it."""
        errors = [answer for answer in answers if isinstance(answer, ApiError)]
        if any(isinstance(error, TRANSIENT) for error in errors):
            self._waiting.setdefault(report.uid, report)
            return False
        for error in errors:
            _log.debug("status of %s/%s: %s", report.namespace, report.name, error.message)
        for done in report.done:
            if not done.done():
                done.set_result(None)
        return True
