"""Rotate the logs of this node's containers."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from longshore.base import quantities
from longshore.machinery.kubelet.resources.around import Around
from longshore.machinery.kubelet.resources.rotation.plan import (
    Size,
    grown,
    next_look_s,
    surplus,
    to_pack,
)
from longshore.machinery.runtime.protocol import CanRotate, Container, RuntimeFailure
from longshore.machinery.runtime.rotated import pack, rotated_name, rotated_of

_log = logging.getLogger("longshore.kubelet.logs")
# Nobody floods: there is time to pack what was rotated.
_CALM_S = 1.0


class Rotator:
    """One per node. Sizes are looked at as often as the busiest log needs it."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._clock = around.clock
        self._limit = quantities.whole(around.settings.log_max_size)
        self._every_s = around.settings.log_look_every_s
        self._sizes: dict[str, Size] = {}
        self._unpacked: set[Path] = set()

    async def run(self) -> None:
        """Until cancelled. A runtime that cannot go on in another file rotates by itself."""
        if not isinstance(self._around.runtime, CanRotate):
            return
        while True:
            wait_s = await self._look(self._around.runtime)
            if wait_s >= _CALM_S:
                await self._pack_all()
            await self._clock.sleep(wait_s)

    async def _look(self, runtime: CanRotate) -> float:
        """In how many seconds to look again."""
        before, self._sizes = self._sizes, {}
        waits = [self._every_s]
        for container, path in self._logs():
            known = before.get(container.id)
            try:
                size = await self._kept_small(runtime, container, Path(path), known)
            except (OSError, RuntimeFailure) as error:
                _log.warning("the log of container %s: %s", container.id[:12], error)
                continue
            self._sizes[container.id] = size
            waits.append(next_look_s(known, size, self._limit, self._every_s))
        return min(waits)

    def _logs(self) -> Iterator[tuple[Container, str]]:
        for one in self._around.pods():
            for container in one.running():
                yield container, one.log_path(container)

    async def _kept_small(
        self, runtime: CanRotate, container: Container, log: Path, before: Size | None
    ) -> Size:
        """The log's size, after it was rotated if it was too large."""
        now = self._clock.monotonic()
        try:
            size = grown(before, os.stat(log).st_size, now)
        except FileNotFoundError:
            # An agent that died between the two steps left it so.
            if rotated_of(log):
                await runtime.reopen_log(container.id)
            return grown(before, 0, now)
        if size.bytes < self._limit:
            return size
        await self._rotate(runtime, container, log)
        return replace(size, bytes=0)

    async def _rotate(self, runtime: CanRotate, container: Container, log: Path) -> None:
        rotated = [path.name for path in rotated_of(log)]
        for name in surplus(rotated, self._around.settings.log_max_files):
            log.with_name(name).unlink(missing_ok=True)
        renamed = log.with_name(rotated_name(log.name, self._clock.now()))
        log.rename(renamed)
        self._unpacked.add(log)
        try:
            await runtime.reopen_log(container.id)
        except RuntimeFailure:
            if not log.exists():
                renamed.rename(log)
            raise

    async def _pack_all(self) -> None:
        while self._unpacked:
            log = self._unpacked.pop()
            for name in to_pack([one.name for one in rotated_of(log)]):
                await self._pack(log.with_name(name))

    async def _pack(self, path: Path) -> None:
        try:
            await asyncio.to_thread(pack, path)
        except OSError as error:
            _log.warning("%s cannot be packed: %s", path, error)
