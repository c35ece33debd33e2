"""Measure what pods use: memory and processes by the runtime, disk by looking at their files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.resources.use import ContainerUse, PodUse
from longshore.machinery.runtime.disk import disk_use, together
from longshore.machinery.runtime.protocol import (
    CanMeasure,
    CanWeigh,
    Container,
    DiskUse,
    Runtime,
    Usage,
)

_NOTHING = DiskUse(0, 0)


class OnNode(Protocol):
    """A pod of this node, as far as it is measured."""

    @property
    def pod(self) -> Doc: ...

    def running(self) -> Iterable[Container]: ...


class Meter:
    """Measures when asked, and remembers nothing."""

    def __init__(self, config: KubeletConfig, runtime: Runtime) -> None:
        self._config = config
        self._runtime = runtime

    async def pods(self, pods: Iterable[OnNode]) -> list[PodUse]:
        """What each uses now. Looks at all their files, in a thread."""
        chosen = [(one.pod, list(one.running())) for one in pods]
        usage = await self._usage()
        written = await self._written([c.id for _, running in chosen for c in running])
        files = await self.files([doc for doc, _ in chosen])
        return [
            _use(doc, running, usage, written, files[doc["metadata"]["uid"]])
            for doc, running in chosen
        ]

    async def memory(self) -> int:
        """Bytes of the working set of all pods together; 0 if nothing is known."""
        if not isinstance(self._runtime, CanMeasure):
            return 0
        together_used, _ = await self._runtime.usage()
        return together_used.working_set_bytes if together_used else 0

    async def files(self, pods: Sequence[Doc]) -> dict[str, PodFiles]:
        """What the volumes and logs of each take, by uid."""
        return await asyncio.to_thread(
            lambda: {pod["metadata"]["uid"]: self._files(pod) for pod in pods}
        )

    def _files(self, pod: Doc) -> PodFiles:
        metadata, spec = pod["metadata"], pod["spec"]
        logs = "_".join((metadata["namespace"], metadata["name"], metadata["uid"]))
        volumes = self._config.pods_dir / metadata["uid"] / "volumes"
        every = (*spec["containers"], *(spec.get("initContainers") or ()))
        return PodFiles(
            {one["name"]: disk_use(volumes / one["name"]) for one in _empty_dirs(pod)},
            {
                one["name"]: disk_use(Path(self._config.logs_dir, logs, one["name"]))
                for one in every
            },
        )

    async def _usage(self) -> Mapping[str, Usage]:
        return (await self._runtime.usage())[1] if isinstance(self._runtime, CanMeasure) else {}

    async def _written(self, ids: Sequence[str]) -> Mapping[str, DiskUse]:
        return await self._runtime.written(ids) if isinstance(self._runtime, CanWeigh) else {}


@dataclass(frozen=True, slots=True)
class PodFiles:
    """Disk used by a pod's emptyDir volumes and by its containers' logs, each by name."""

    volumes: Mapping[str, DiskUse]
    logs: Mapping[str, DiskUse]

    @property
    def inodes(self) -> int:
        return together((*self.volumes.values(), *self.logs.values())).inodes


def _empty_dirs(pod: Doc) -> list[Doc]:
    return [one for one in pod["spec"].get("volumes") or () if one.get("emptyDir") is not None]


def _use(
    doc: Doc,
    running: Sequence[Container],
    usage: Mapping[str, Usage],
    written: Mapping[str, DiskUse],
    files: PodFiles,
) -> PodUse:
    """Logs of a container count even when it does not run just now."""
    by_name = {one.name: one.id for one in running}
    measured = [usage[one.id] for one in running if one.id in usage]
    containers = {}
    for name, logs in files.logs.items():
        identity = by_name.get(name, "")
        used, kept = usage.get(identity), written.get(identity, _NOTHING)
        memory = used.working_set_bytes if used else 0
        containers[name] = ContainerUse(memory, kept.bytes, logs.bytes)
    in_memory = {v["name"] for v in _empty_dirs(doc) if v["emptyDir"].get("medium") == "Memory"}
    return PodUse(
        doc, containers, {name: use.bytes for name, use in files.volumes.items()},
        frozenset(in_memory), files.inodes + together(written[c.id] for c in running if c.id in written).inodes,
        sum(one.pids for one in measured),
    )  # fmt: skip
