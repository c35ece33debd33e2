"""Start one container of a pod: its image, its environment and mounts, then the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import RETRY_S
from longshore.machinery.kubelet.environment import Sources, container_env, without_secrets
from longshore.machinery.kubelet.facts import ConfigMissing
from longshore.machinery.kubelet.model import START_ERROR_EXIT_CODE, Trouble
from longshore.machinery.kubelet.place import PodPlace
from longshore.machinery.kubelet.plan import Start, next_backoff
from longshore.machinery.kubelet.record import PodRecord
from longshore.machinery.kubelet.spec import Place, container_spec, pull_policy
from longshore.machinery.kubelet.support import unpullable
from longshore.machinery.kubelet.tools import Tools
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
        self._report = report
        self._ending = ending

    async def start(self, step: Start) -> Container | None:
        """The attempt, which may have ended at once; None if a trouble is in the way."""
        container = self._record.documents[step.name]
        image = await self._image(container)
        if image is None:
            return None
        try:
            async with self._tools.starts:
                started = await self._start_from(container, image, step.attempt)
        except (ConfigMissing, VolumeFailure, ApiError, OSError) as error:
            self._trouble(container, "CreateContainerConfigError", str(error), RETRY_S)
            return None
        except ImageMissing as error:
            self._pull_failed(container, str(error))
            return None
        except StartFailed as error:
            started = self._never_ran(container, image, step.attempt, error)
        self._record.troubles.pop(step.name, None)
        self._record.back_off(step.name, self._tools.clock.now())
        self._record.note(started)
        if started.state is not State.EXITED:
            self._record.event("Normal", "Created", f"Created container: {step.name}")
            self._record.event("Normal", "Started", f"Started container {step.name}")
        return started

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
        place = Place(attempt, self._place.new_log(name, attempt), mounts)
        spec = container_spec(container, facts, sources, image, place)
        return await self._tools.runtime.start_container(self._record.uid, spec)

    def _never_ran(self, container: Doc, image: Image, attempt: int, why: Exception) -> Container:
        """A start that failed counts as a container that ended at once, as upstream has it."""
        self._record.event("Warning", "Failed", f"Error: {why}")
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
                await self._tools.runtime.remove_container(old.id)

    def _trouble(self, container: Doc, reason: str, message: str, retry_s: float) -> None:
        now = self._tools.clock.now()
        self._record.trouble(container["name"], Trouble(reason, message, now, now + retry_s))

    # -- images ------------------------------------------------------------------------------

    async def _image(self, container: Doc) -> Image | None:
        """The container's image by its pull policy; None if it cannot be had now."""
        reference, policy = container["image"], pull_policy(container)
        if policy != "Always":
            image = await self._tools.runtime.image(reference)
            if image is not None:
                message = f'Container image "{reference}" already present on machine'
                self._record.event("Normal", "Pulled", message)
                return image
        if policy == "Never":
            message = f'Container image "{reference}" is not present with pull policy of Never'
            self._trouble(container, "ErrImageNeverPull", message, RETRY_S)
            return None
        return await self._pull(container)

    async def _pull(self, container: Doc) -> Image | None:
        """Fetch it; a pod that is to end does not wait for its images."""
        if why := unpullable(self._record.pod["spec"]):
            self._pull_failed(container, why)
            return None
        reference, began = container["image"], self._tools.clock.now()
        self._record.event("Normal", "Pulling", f'Pulling image "{reference}"')
        self._report()
        pull = self._tools.puller.pull(reference)
        await asyncio.wait((pull, self._ending), return_when=asyncio.FIRST_COMPLETED)
        if not pull.done():
            return None
        image = pull.result()
        if isinstance(image, Exception):
            self._pull_failed(container, str(image))
            return None
        self._record.pulls.pop(container["name"], None)
        took = self._tools.clock.now() - began
        self._record.event("Normal", "Pulled", f'Successfully pulled image "{reference}" in {took:.3f}s. '
                    f"Image size: {image.size} bytes.")  # fmt: skip
        return image

    def _pull_failed(self, container: Doc, why: str) -> None:
        now, name = self._tools.clock.now(), container["name"]
        self._record.pulls[name] = backoff = next_backoff(self._record.pulls.get(name), now, now)
        message = f'failed to pull image "{container["image"]}": {why}'
        self._record.event(
            "Warning", "Failed", f'Failed to pull image "{container["image"]}": {why}'
        )
        self._trouble(container, "ErrImagePull", message, backoff.delay_s)
