"""A pod comes to the node: it is taken, or told why not."""

from __future__ import annotations

import logging
from collections.abc import Callable

from longshore.core.objects.errors import ApiError
from longshore.core.objects.pod_requests import amounts_of
from longshore.machinery.kubelet.admission.gate import Gate
from longshore.machinery.kubelet.admission.plan import (
    AFFINITY,
    Site,
    counted_as,
    rejected,
)
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.lifecycle.model import Verdict, is_static, key_of
from longshore.machinery.kubelet.node.run import NodeKeeper
from longshore.machinery.kubelet.pods.record import PodRecord
from longshore.machinery.kubelet.pods.tools import Tools
from longshore.machinery.runtime.protocol import CanUpdate, Runtime

UNABLE = "In-place resize of containers is not supported by this node's runtime"
_STATIC = "static"
_log = logging.getLogger("longshore.kubelet.pod")


def gate_of(
    config: KubeletConfig,
    keeper: NodeKeeper,
    runtime: Runtime,
    freed: Callable[[str], None],
) -> Gate:
    """The gate of the node that keeper keeps registered."""

    def site() -> Site:
        allocatable = amounts_of(keeper.allocatable)
        return Site(keeper.described, allocatable, config.resources.allowed_unsafe_sysctls)

    return Gate(
        site,
        freed,
        lambda: keeper.pressure(),
        "" if isinstance(runtime, CanUpdate) else UNABLE,
        config.resources.cpu_manager_policy == _STATIC,
    )


async def enter(record: PodRecord, tools: Tools) -> None:
    """Ask the gate; what it refuses has failed for good."""
    why = (
        await _asked(record, tools)
        or await tools.devices.admit(record.pod)
        or await tools.cpus.admit(record.pod)
    )
    if why is None:
        record.admitted = True
        return
    tools.gate.leave(record.uid)
    await tools.devices.release(record.uid)
    record.event("Warning", why.reason, why.message)
    tools.metrics.rejections.add((counted_as(why.reason),))
    record.verdict = rejected(why)


async def _asked(record: PodRecord, tools: Tools) -> Verdict | None:
    if is_static(record.pod):  # such pods run before there is a server to register with
        return tools.gate.admit(record.pod)
    await tools.keeper.known.wait()
    why = tools.gate.admit(record.pod)
    if why is None or why.reason != AFFINITY:
        return why
    # Somebody may have labelled the node in the meantime.
    try:
        await tools.keeper.refresh()
    except (ApiError, OSError) as error:
        _log.warning("pod %s: the node cannot be looked at: %s", key_of(record.pod), error)
    return tools.gate.admit(record.pod)
