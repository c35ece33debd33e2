"""Serve a container's log: which file it is, and when nothing more will come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from longshore.base.clock import Clock
from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import Doc
from longshore.core.streams.protocols import LogOptions
from longshore.machinery.runtime import logs
from longshore.machinery.runtime.protocol import Container, State

_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


class LogSource(Protocol):
    """The pod whose containers have written."""

    @property
    def pod(self) -> Doc: ...

    def has_container(self, name: str) -> bool: ...

    def newest(self, container: str, previous: bool) -> Container | None: ...

    def waits_for(self, container: str) -> str:
        """The reason of its waiting, if it does."""
        ...

    def log_path(self, container: Container) -> str: ...


def read_logs(
    source: LogSource, name: str, options: LogOptions, clock: Clock
) -> AsyncIterator[bytes]:
    """The log of the newest attempt, or of the one before. Raises BadRequest at once, in upstream's
    words (pkg/kubelet/kubelet_pods.go validateContainerLogStatus)."""
    pod = source.pod["metadata"]["name"]
    if not source.has_container(name):
        raise BadRequest(f"container {name} is not valid for pod {pod}")
    container = source.newest(name, options.previous)
    if container is None and options.previous:
        raise BadRequest(f'previous terminated container "{name}" in pod "{pod}" not found')
    if container is None:
        why = source.waits_for(name)
        said = _WAITING.get(why, why or "ContainerCreating")
        raise BadRequest(f'container "{name}" in pod "{pod}" is waiting to start: {said}')
    attempt = container.attempt

    def ended() -> bool:
        newest = source.newest(name, False)
        return newest is None or newest.attempt != attempt or newest.state is State.EXITED

    return logs.read(Path(source.log_path(container)), options, clock, ended)
