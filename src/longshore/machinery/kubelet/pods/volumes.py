"""The volumes of one pod through its life: set up, brought up to date, given up."""

from __future__ import annotations

import math
from dataclasses import replace

from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import VOLUME_REFRESH_S
from longshore.machinery.kubelet.containers.environment import Sources
from longshore.machinery.kubelet.containers.facts import ConfigMissing, Facts
from longshore.machinery.kubelet.lifecycle.model import own_fields
from longshore.machinery.kubelet.pods.place import PodPlace
from longshore.machinery.kubelet.pods.record import PodRecord
from longshore.machinery.kubelet.pods.tools import Tools
from longshore.machinery.kubelet.volumes.following import seen_by
from longshore.machinery.kubelet.volumes.ownership import give_to_groups
from longshore.machinery.kubelet.volumes.plan import Payload, Volume, plan_volumes, stale
from longshore.machinery.kubelet.volumes.run import VolumeFailure

_FOREVER = math.inf


class VolumeKeeper:
    """refresh_at is when to look next whether something changed, in seconds since the epoch."""

    def __init__(self, record: PodRecord, place: PodPlace, tools: Tools) -> None:
        self._record = record
        self._place = place
        self._tools = tools
        self._volumes: tuple[Volume, ...] = ()
        self._version = 0
        self.refresh_at = _FOREVER

    async def fetched(self) -> Sources | ApiError:
        """What the volumes are made of; a failure as a value, for whoever does something else meanwhile."""
        try:
            return await self._tools.fetcher.volumes(self._record.pod)
        except ApiError as error:
            return error

    async def set_up(self, sources: Sources | ApiError) -> None:
        """See that the volumes are there. Raises ConfigMissing, VolumeFailure, ApiError or OSError."""
        if isinstance(sources, ApiError):
            raise sources
        try:
            self._volumes = plan_volumes(self._facts(), sources)
        except ConfigMissing:
            self._follow(sources)
            raise
        await give_to_groups(self._volumes)
        self._place.set_up(self._volumes, self._stamp())
        if any(isinstance(volume, Payload) for volume in self._volumes):
            self.refresh_at = self._tools.clock.now() + VOLUME_REFRESH_S
            self._follow(sources)

    async def refresh(self) -> None:
        """If it is time, write what changed; what is missing now stays as it was."""
        now = self._tools.clock.now()
        if now < self.refresh_at or not self._record.sandbox:
            return
        # What changes from here on is for the next time.
        self.refresh_at = now + VOLUME_REFRESH_S
        try:
            sources = await self._tools.fetcher.volumes(self._record.pod)
            self._follow(sources)
            new = plan_volumes(self._facts(), sources)
            self._place.set_up(stale(self._volumes, new), self._stamp())
        except (ConfigMissing, VolumeFailure, ApiError) as error:
            self._record.event("Warning", "FailedMount", str(error))
            return
        self._volumes = new

    def outdated(self) -> None:
        """Something that volumes are made of has changed: refresh() has something to do, or what the
        pod waits for is there."""
        now, trouble = self._tools.clock.now(), self._record.pod_trouble
        if self.refresh_at < _FOREVER:
            self.refresh_at = now
        if trouble is not None and trouble.reason == "FailedMount":
            self._record.pod_trouble = replace(trouble, retry_at=now)

    def compare(self, before: Doc, pod: Doc) -> None:
        """A newer document of the pod, whose own fields may be in its volumes."""
        if own_fields(before) != own_fields(pod):
            self.outdated()

    def give_up(self) -> None:
        """The volumes are about to be taken away."""
        self.refresh_at = _FOREVER
        self._tools.followed.leave(self._record.uid)

    def _follow(self, sources: Sources) -> None:
        self._tools.followed.follow(self._record.uid, seen_by(self._record.pod, sources))

    def _facts(self) -> Facts:
        return self._record.facts(self._tools.allocatable())

    def _stamp(self) -> str:
        """A name for one version of the pod's files; never one that an earlier life used."""
        self._version += 1
        return f"{self._tools.clock.now():.6f}.{self._version}"
