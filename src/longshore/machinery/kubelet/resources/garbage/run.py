"""Remove what nobody needs: images when the disk fills, ended containers when it is short."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import TERMINAL_PHASES
from longshore.machinery.kubelet.resources.around import Around
from longshore.machinery.kubelet.resources.garbage.plan import (
    Seen,
    bytes_to_free,
    removable,
    sighted,
)
from longshore.machinery.runtime.protocol import RuntimeFailure, State
from longshore.machinery.runtime.rotated import delete_log

_log = logging.getLogger("longshore.kubelet.garbage")


class Collector:
    """One per node."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._settings = around.settings
        self._runtime = around.runtime
        self._clock = around.clock
        self._seen: dict[str, Seen] = {}

    async def run(self) -> None:
        """Look at the images every few minutes until cancelled."""
        while True:
            try:
                await self._look()
            except (RuntimeFailure, OSError) as error:
                _log.warning("images: %s", error)
            await self._clock.sleep(self._settings.image_gc_every_s)

    async def _look(self) -> None:
        settings = self._settings
        await self._sight()
        disk = self._around.gauges().read().get("imagefs.available")
        if disk is None:
            return
        wanted = bytes_to_free(disk, settings.image_gc_high_percent, settings.image_gc_low_percent)
        if wanted and (freed := await self._free(wanted)) < wanted:
            self._around.recorder.event(
                self._around.registered.node, "Warning", "FreeDiskSpaceFailed",
                f"Failed to garbage collect required amount of images. Attempted to free {wanted} "
                f"bytes, but only found {freed} bytes eligible to free.",
            )  # fmt: skip

    async def reclaim(self) -> None:
        """Free all that can be freed without ending a pod."""
        ended = {one.pod["metadata"]["uid"] for one in self._around.pods() if _is_over(one.pod)}
        for container in await self._runtime.containers():
            if container.sandbox in ended and container.state is State.EXITED:
                with contextlib.suppress(RuntimeFailure):
                    await self._runtime.remove_container(container.id)
                    await asyncio.to_thread(_delete_log, container.log_path)
        await self._sight()
        await self._free(None)

    async def _sight(self) -> None:
        """Remember which images are here and which are used: by a container, or by a pod that is about
        to have one."""
        used = {container.image_id for container in await self._runtime.containers()}
        for reference in self._wanted():
            if (image := await self._runtime.image(reference)) is not None:
                used.add(image.id)
        now = self._clock.monotonic()
        self._seen = sighted(self._seen, await self._runtime.images(), used, now)

    def _wanted(self) -> set[str]:
        return {
            container["image"]
            for one in self._around.pods()
            if not _is_over(one.pod)
            for kind in ("containers", "initContainers", "ephemeralContainers")
            for container in one.pod["spec"].get(kind) or ()
        }

    async def _free(self, wanted: int | None) -> int:
        """Remove images until so many bytes are free, or all that may go; how many were freed."""
        freed, now = 0, self._clock.monotonic()
        images = [one for one in await self._runtime.images() if one.id in self._seen]
        for image in removable(images, self._seen, now, self._settings.image_gc_min_age_s):
            if wanted is not None and freed >= wanted:
                break
            try:
                await self._runtime.remove_image(image.id)
            except RuntimeFailure as error:
                _log.info("image %s stays: %s", image.id[:12], error)
                continue
            _log.info("removed image %s (%s)", image.id[:12], ", ".join(image.names))
            freed += image.size
        return freed


def _is_over(pod: Doc) -> bool:
    return (pod.get("status") or {}).get("phase") in TERMINAL_PHASES


def _delete_log(path: str) -> None:
    if path:
        delete_log(Path(path))
