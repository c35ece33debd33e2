"""Fetch images, each reference once however many containers wait for it."""

from __future__ import annotations

import asyncio

from longshore.machinery.runtime.protocol import Image, Runtime, RuntimeFailure


class Puller:
    """Pulls under way, by reference. crew owns them: a pod that no longer waits stops none."""

    def __init__(self, runtime: Runtime, crew: asyncio.TaskGroup) -> None:
        self._runtime = runtime
        self._crew = crew
        self._pulls: dict[str, asyncio.Task[Image | Exception]] = {}

    def pull(self, reference: str) -> asyncio.Task[Image | Exception]:
        """The pull of a reference, started if none is under way. Its result is the image, or
        the RuntimeFailure (as a value, for a failed task would end its whole crew)."""
        task = self._pulls.get(reference)
        if task is None:
            task = self._crew.create_task(self._pull(reference), name=f"pull {reference}")
            self._pulls[reference] = task
            task.add_done_callback(lambda _: self._pulls.pop(reference, None))
        return task

    async def _pull(self, reference: str) -> Image | Exception:
        try:
            return await self._runtime.pull(reference)
        except (RuntimeFailure, OSError) as error:
            return error
