"""Let somebody talk to a container: which one it is, and whether it runs."""

from __future__ import annotations

from longshore.core.objects.errors import BadRequest, InternalError, NotFound
from longshore.core.streams.protocols import ExecOptions, Session
from longshore.machinery.kubelet.streams.logs import LogSource
from longshore.machinery.runtime.protocol import CanTalk, Runtime, RuntimeFailure, State


async def open_session(
    runtime: Runtime, source: LogSource, name: str, options: ExecOptions
) -> Session:
    """A command in the container, or the container itself if there is none. Raises NotFound,
    BadRequest, or InternalError in upstream's words if the runtime cannot
    (k8s.io/kubelet/pkg/cri/streaming/remotecommand)."""
    if not isinstance(runtime, CanTalk):
        raise BadRequest(f'container "{name}" is on a runtime in which no commands can be run')
    container = _running(source, name)
    try:
        if options.command:
            return await runtime.exec(container, options)
        return await runtime.attach(container, options)
    except RuntimeFailure as error:
        doing = "executing command in" if options.command else "attaching to"
        raise InternalError(f"Internal error occurred: error {doing} container: {error}") from error


def _running(source: LogSource, name: str) -> str:
    """The id of the container that runs by that name."""
    if not source.has_container(name):
        raise NotFound(f'container not found ("{name}")')
    pod = source.pod["metadata"]["name"]
    newest = source.newest(name, False)
    if newest is None:
        raise BadRequest(f'container "{name}" in pod "{pod}" is waiting to start')
    if newest.state is State.EXITED:
        raise BadRequest(f'container "{name}" in pod "{pod}" is not running')
    return newest.id
