"""Fetch images, so many at a time, and each once for all who ask for it with the same logins."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from longshore.base.clock import Clock
from longshore.machinery.kubelet.images.keyring import Credential
from longshore.machinery.kubelet.images.records import PullRecords, is_guarded
from longshore.machinery.runtime.protocol import Image, Runtime, RuntimeFailure


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image that was fetched, with which login (None: without), and in how many seconds without
    those that were waited for a turn."""

    image: Image
    credential: Credential | None
    took_s: float


class Puller:
    """Pulls under way, by reference and logins. crew owns them: a pod that no longer waits stops none."""

    def __init__(
        self,
        runtime: Runtime,
        records: PullRecords,
        crew: asyncio.TaskGroup,
        clock: Clock,
        at_once: int,
    ) -> None:
        self._runtime = runtime
        self._records = records
        self._crew = crew
        self._clock = clock
        self._turns = asyncio.Semaphore(at_once)
        self._pulls: dict[tuple[str, ...], asyncio.Task[Pulled | Exception]] = {}

    def pull(
        self, reference: str, repository: str, credentials: Sequence[Credential] = ()
    ) -> asyncio.Task[Pulled | Exception]:
        """The pull of a reference, started if none is under way with these logins, which are tried in
        turn. Its result is what was pulled, or the failure (as a value, for a failed task would
        end its whole crew)."""
        key = (reference, *(f"{one.hash} {one.secret}" for one in credentials))
        task = self._pulls.get(key)
        if task is None:
            pulling = self._recorded(reference, repository, credentials)
            task = self._crew.create_task(pulling, name=f"pull {reference}")
            self._pulls[key] = task
            task.add_done_callback(lambda _: self._pulls.pop(key, None))
        return task

    async def _recorded(
        self, reference: str, repository: str, credentials: Sequence[Credential]
    ) -> Pulled | Exception:
        """The pull, with a note before and after that says whose the image is."""
        async with self._turns:
            try:
                if credentials:
                    await asyncio.to_thread(self._records.pulling, reference)
                result = await self._pull(reference, credentials or (None,))
                await self._record(reference, repository, result, noted=bool(credentials))
            except (RuntimeFailure, OSError, ValueError) as error:
                return error
            return result

    async def _record(
        self, reference: str, repository: str, result: Pulled | Exception, *, noted: bool
    ) -> None:
        known = self._records.read()
        if isinstance(result, Pulled):
            image = result.image
            if not noted and not is_guarded(known, image.id, image.names, reference):
                return
            present = {one.id for one in await self._runtime.images()} | {image.id}
            gone = known["images"].keys() - present
            said = (reference, image.id, repository, result.credential, gone)
            await asyncio.to_thread(self._records.pulled, *said)
        elif noted:
            await asyncio.to_thread(self._records.failed, reference)

    async def _pull(
        self, reference: str, credentials: Sequence[Credential | None]
    ) -> Pulled | Exception:
        began, failures = self._clock.now(), dict[str, Exception]()
        for one in credentials:
            try:
                image = await self._runtime.pull(reference, one.login if one else None)
            except (RuntimeFailure, OSError) as error:
                failures[str(error)] = error
            else:
                return Pulled(image, one, self._clock.now() - began)
        return _together(failures)


def _together(failures: dict[str, Exception]) -> Exception:
    """One is itself; several different ones are a list (apimachinery's NewAggregate)."""
    if len(failures) == 1:
        return next(iter(failures.values()))
    return RuntimeFailure(f"[{', '.join(failures)}]")
