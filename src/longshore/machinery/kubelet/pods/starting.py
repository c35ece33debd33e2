"""Start one container of a pod: its image, its environment and mounts, then the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from longshore.base.files import told
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import RETRY_S
from longshore.machinery.kubelet.containers.environment import (
    Sources,
    container_env,
    without_secrets,
)
from longshore.machinery.kubelet.containers.facts import ConfigMissing
from longshore.machinery.kubelet.containers.spec import (
    Place,
    container_spec,
    image_pull_policy,
    pull_policy,
)
from longshore.machinery.kubelet.lifecycle.model import START_ERROR_EXIT_CODE, Trouble
from longshore.machinery.kubelet.lifecycle.plan import Start
from longshore.machinery.kubelet.pods.images import PodImages, image_volumes
from longshore.machinery.kubelet.pods.place import PodPlace
from longshore.machinery.kubelet.pods.record import PodRecord
from longshore.machinery.kubelet.pods.tools import Tools
from longshore.machinery.kubelet.volumes.run import VolumeFailure
from longshore.machinery.runtime.protocol import (
    Container,
    Image,
    ImageMissing,
    StartFailed,
    State,
)


class Starter:
    """Starts the containers of one pod. report() is called before a long wait; ending is done once
    the pod is to end and nobody should wait for images any more."""

    def __init__(
        self,
        record: PodRecord,
        place: PodPlace,
        tools: Tools,
        report: Callable[[], None],
        ending: asyncio.Future[None],
    ) -> None:
        self._record = record
        self._place = place
        self._tools = tools
        self._images = PodImages(record, tools, report, ending)

    async def start(self, step: Start) -> Container | None:
        """The attempt, which may have ended at once; None if a trouble is in the way."""
        container = self._record.documents[step.name]
        image = await self._all_images(container)
        if image is None:
            return None
        try:
            async with self._tools.starts:
                started = await self._start_from(container, image, step.attempt)
        except (ConfigMissing, VolumeFailure, ApiError, OSError) as error:
            self._trouble(container, "CreateContainerConfigError", told(error), RETRY_S)
            return None
        except ImageMissing as error:
            self._images.failed(step.name, container["image"], str(error))
            return None
        except StartFailed as error:
            started = self._never_ran(container, image, step.attempt, error)
        self._record.troubles.pop(step.name, None)
        self._record.actual.pop(step.name, None)
        self._record.back_off(step.name, self._tools.clock.now())
        self._record.note(started)
        if started.id:
            self._record.event("Normal", "Created", f"Created container: {step.name}", step.name)
            self._record.event("Normal", "Started", f"Started container {step.name}", step.name)
            self._tools.metrics.container_started(self._record.pod, step.name)
        return started

    async def _all_images(self, container: Doc) -> Image | None:
        """The container's own image, once those that it mounts are there too; None if one cannot be
        had now."""
        name, spec = container["name"], self._record.pod["spec"]
        for volume in image_volumes(container, spec):
            wanted = (
                volume["reference"],
                image_pull_policy(volume["reference"], volume.get("pullPolicy")),
            )
            if await self._images.ensure(name, *wanted) is None:
                return None
        return await self._images.ensure(name, container["image"], pull_policy(container))

    async def _start_from(self, container: Doc, image: Image, attempt: int) -> Container:
        sources = await self._tools.fetcher.environment(self._record.pod)
        try:
            return await self._start_with(sources, container, image, attempt)
        except (StartFailed, VolumeFailure) as error:
            raise type(error)(without_secrets(str(error), sources)) from error

    async def _start_with(
        self, sources: Sources, container: Doc, image: Image, attempt: int
    ) -> Container:
        facts, name = self._record.facts(self._tools.allocatable()), container["name"]
        env = container_env(container, facts, sources)
        mounts = self._place.mounts(container, attempt, env)
        profiles = str(self._tools.config.seccomp_dir)
        place = Place(attempt, self._place.new_log(name, attempt), mounts, profiles)
        spec = container_spec(container, facts, sources, image, place)
        limits = self._tools.cpus.pinned(self._record.uid, name, spec.resources)
        spec = replace(spec, resources=limits)
        spec = await self._tools.devices.equip(self._record.pod, container, spec)
        with self._tools.metrics.operation("start_container"):
            return await self._tools.runtime.start_container(self._record.uid, spec)

    def _never_ran(self, container: Doc, image: Image, attempt: int, why: Exception) -> Container:
        """A start that failed counts as a container that ended at once, as upstream has it."""
        self._record.event("Warning", "Failed", f"Error: {why}", container["name"])
        self._record.messages[container["name"], attempt] = str(why)
        now = self._tools.clock.now()
        return Container(
            id="", sandbox=self._record.uid, name=container["name"], attempt=attempt,
            image=container["image"], image_id=image.id, state=State.EXITED, started_at=now,
            finished_at=now, exit_code=START_ERROR_EXIT_CODE, reason="StartError",
        )  # fmt: skip

    async def forget_old(self, name: str) -> None:
        """Keep the newest attempt and the one before, for `kubectl logs --previous`."""
        known = self._record.attempts[name]
        for attempt in sorted(known)[:-2]:
            old = known.pop(attempt)
            self._record.messages.pop((name, attempt), None)
            self._place.forget(name, attempt)
            if old.id:
                with self._tools.metrics.operation("remove_container"):
                    await self._tools.runtime.remove_container(old.id)

    def _trouble(self, container: Doc, reason: str, message: str, retry_s: float) -> None:
        now = self._tools.clock.now()
        self._record.trouble(container["name"], Trouble(reason, message, now, now + retry_s))
