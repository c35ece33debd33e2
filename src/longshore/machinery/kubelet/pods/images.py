"""See that one pod gets its images: by their pull policy, with its pull secrets, and with back-off.

Order and words: pkg/kubelet/images/image_manager.go (EnsureImageExists).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import RETRY_S
from longshore.machinery.kubelet.images import records
from longshore.machinery.kubelet.images.keyring import (
    Credential,
    UnreadableSecret,
    credentials_for,
)
from longshore.machinery.kubelet.images.pulls import Pulled
from longshore.machinery.kubelet.lifecycle.model import Trouble
from longshore.machinery.kubelet.lifecycle.plan import next_backoff
from longshore.machinery.kubelet.pods.record import PodRecord
from longshore.machinery.kubelet.pods.tools import Tools
from longshore.machinery.runtime.images.reference import normalise
from longshore.machinery.runtime.images.reference import repository as repository_of
from longshore.machinery.runtime.protocol import Image


class PodImages:
    """The images of one pod. report() is called before a long wait; ending is done once the pod is to
    end and nobody should wait for images any more."""

    def __init__(
        self,
        record: PodRecord,
        tools: Tools,
        report: Callable[[], None],
        ending: asyncio.Future[None],
    ) -> None:
        self._record = record
        self._tools = tools
        self._report = report
        self._ending = ending

    async def ensure(self, container: str, reference: str, policy: str) -> Image | None:
        """The image that a container needs, to run or to mount; None if it cannot be had now, and then
        the container's trouble says why."""
        try:
            repository = repository_of(normalise(reference))
        except ValueError as error:
            self._invalid(container, reference, error)
            return None
        present = None if policy == "Always" else await self._tools.runtime.image(reference)
        if present is not None and await self._may_use(present, reference, repository):
            message = f'Container image "{reference}" already present on machine'
            self._record.event(
                "Normal", "Pulled", f"{message} and can be accessed by the pod", container
            )
            return present
        if policy == "Never":
            message = f'Container image "{reference}" is not present with pull policy of Never'
            self._record.event("Warning", "ErrImageNeverPull", message, container)
            self._trouble(container, reference, "ErrImageNeverPull", message, RETRY_S)
            return None
        return await self._pull(container, reference, repository)

    async def _may_use(self, image: Image, reference: str, repository: str) -> bool:
        known = self._tools.pull_records.read()
        if not records.is_guarded(known, image.id, image.names, reference):
            return True
        if records.may_use(known, image.id, repository, ()):
            return True
        return records.may_use(known, image.id, repository, await self._credentials(repository))

    async def _credentials(self, repository: str) -> Sequence[Credential]:
        """The pod's, for a repository. A Secret that is not there is told of, and the pull is tried.
        Raises UnreadableSecret."""
        names = [one.get("name") for one in self._record.pod["spec"].get("imagePullSecrets") or ()]
        wanted = [name for name in dict.fromkeys(names) if name]
        if not wanted:
            return ()
        namespace = self._record.pod["metadata"]["namespace"]
        found = await self._tools.fetcher.secrets(namespace, wanted)
        if missing := [name for name in wanted if name not in found]:
            self._record.event(
                "Warning", "FailedToRetrieveImagePullSecret",
                f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
                "attempting to pull the image may not succeed.",
            )  # fmt: skip
        return credentials_for(repository, [found[name] for name in wanted if name in found])

    async def _pull(self, container: str, reference: str, repository: str) -> Image | None:
        """Fetch it; a pod that is to end does not wait for its images."""
        began = self._tools.clock.now()
        self._record.event("Normal", "Pulling", f'Pulling image "{reference}"', container)
        self._report()
        try:
            credentials = await self._credentials(repository)
        except UnreadableSecret as error:
            self.failed(container, reference, str(error))
            return None
        pull = self._tools.puller.pull(reference, repository, credentials)
        await asyncio.wait((pull, self._ending), return_when=asyncio.FIRST_COMPLETED)
        if not pull.done():
            return None
        pulled = pull.result()
        if not isinstance(pulled, Pulled):
            self.failed(container, reference, str(pulled))
            return None
        self._record.pulls.pop(reference, None)
        waited = self._tools.clock.now() - began
        self._record.event(
            "Normal", "Pulled", f'Successfully pulled image "{reference}" in {pulled.took_s:.3f}s '
            f"({waited:.3f}s including waiting). Image size: {pulled.image.size} bytes.", container,
        )  # fmt: skip
        return pulled.image

    def failed(self, container: str, reference: str, why: str) -> None:
        """An image that is not to be had is tried again ever more seldom."""
        now = self._tools.clock.now()
        self._record.pulls[reference] = backoff = next_backoff(
            self._record.pulls.get(reference), now, now
        )
        self._record.event(
            "Warning", "Failed", f'Failed to pull image "{reference}": {why}', container
        )
        message = f'failed to pull image "{reference}": {why}'
        self._trouble(container, reference, "ErrImagePull", message, backoff.delay_s)

    def _invalid(self, container: str, reference: str, why: ValueError) -> None:
        unread = f'couldn\'t parse image name "{reference}": invalid reference format: {why}'
        message = f'Failed to apply default image tag "{reference}": {unread}'
        self._record.event("Warning", "InspectFailed", message, container)
        self._trouble(container, reference, "InvalidImageName", message, RETRY_S)

    def _trouble(
        self, container: str, reference: str, reason: str, message: str, retry_s: float
    ) -> None:
        now = self._tools.clock.now()
        trouble = Trouble(reason, message, now, now + retry_s, image=reference)
        self._record.trouble(container, trouble)


def image_volumes(container: Doc, spec: Doc) -> list[Doc]:
    """The images that a container mounts (KEP-4639), as their volumes have them: reference, pullPolicy."""
    mounted = {mount["name"] for mount in container.get("volumeMounts") or ()}
    volumes = spec.get("volumes") or ()
    return [one["image"] for one in volumes if "image" in one and one["name"] in mounted]
