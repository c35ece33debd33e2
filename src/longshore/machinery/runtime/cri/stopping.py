"""A stop signal of a container's own, which the CRI knows since Kubernetes 1.33 and runtimes learn later
(KEP-4960): it is sent to the container's first process, as the runtime would."""

from __future__ import annotations

import contextlib
import os
import signal

import orjson

from longshore.base.clock import Clock
from longshore.machinery.runtime.cri import calls
from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.calls import Calls
from longshore.machinery.runtime.cri.live import Live
from longshore.machinery.runtime.cri.mirror import Mirror
from longshore.machinery.runtime.oci.host import signal_number

# How often one that was signalled is looked at.
_LOOK_S = 0.05


async def signalled(ask: Calls, mirror: Mirror, clock: Clock, live: Live, grace_s: float) -> bool:
    """Send it, and wait so long; whether it has ended. Raises RuntimeFailure."""
    pidfd = await _first_process(ask, live.container.id)
    if pidfd < 0:
        return False
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal_number(live.stop_signal))
    os.close(pidfd)
    deadline = clock.monotonic() + grace_s
    while await mirror.look_at(live) and not live.ended:
        if clock.monotonic() >= deadline:
            return False
        await clock.sleep(_LOOK_S)
    return True


async def _first_process(ask: Calls, container_id: str) -> int:
    """A pidfd, -1 if it has ended. It is asked again once that is open: the number may have become
    somebody else's before."""
    pid = await _pid(ask, container_id)
    try:
        pidfd = os.pidfd_open(pid) if pid else -1
    except ProcessLookupError:
        return -1
    if pidfd >= 0 and await _pid(ask, container_id) != pid:
        os.close(pidfd)
        return -1
    return pidfd


async def _pid(ask: Calls, container_id: str) -> int:
    """Of a running container; 0 of another. containerd and CRI-O tell it alike."""
    asked = rpc.ContainerStatusRequest(container_id=container_id, verbose=True)
    answer = await ask(calls.INSPECT, asked)
    if answer.status.state != rpc.CONTAINER_RUNNING:
        return 0
    return int(orjson.loads(answer.info.get("info") or "{}").get("pid") or 0)
