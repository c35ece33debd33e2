"""Remember containers from a pod's status when the runtime has lost them. Pure.

After a reboot the runtime knows nothing, yet restart counts go on and a pod that must not be
restarted must not start again.
"""

from __future__ import annotations

from collections.abc import Container as Collection

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import LOST_EXIT_CODE, Health
from longshore.machinery.runtime.protocol import Container, State

LOST_REASON = "ContainerStatusUnknown"


def recalled(pod: Doc, known: Collection[str], now: float) -> list[Container]:
    """Ended containers for every name that status says has run and that is not in known."""
    status, uid = pod.get("status") or {}, pod["metadata"]["uid"]
    reported = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
        *(status.get("ephemeralContainerStatuses") or []),
    ]
    found = (_recalled(entry, uid, now) for entry in reported if entry["name"] not in known)
    return [container for container in found if container is not None]


def health_reported(pod: Doc, name: str) -> Health:
    """What status says of a container's probes."""
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for entry in status.get(kind) or []:
            if entry["name"] == name:
                return Health(bool(entry.get("started")), bool(entry.get("ready")))
    return Health(started=False, ready=False)


def _recalled(entry: Doc, uid: str, now: float) -> Container | None:
    state, last = entry.get("state") or {}, entry.get("lastState") or {}
    ended = state.get("terminated") or last.get("terminated")
    if "running" in state:
        started = state["running"].get("startedAt")
        ended = {"exitCode": LOST_EXIT_CODE, "reason": LOST_REASON, "startedAt": started,
                 "containerID": entry.get("containerID", "")}  # fmt: skip
    if ended is None:
        return None
    return Container(
        id=(ended.get("containerID") or "").rpartition("//")[2],
        sandbox=uid,
        name=entry["name"],
        attempt=entry.get("restartCount", 0),
        image=entry.get("image", ""),
        image_id=entry.get("imageID", "").removeprefix("sha256:"),
        state=State.EXITED,
        started_at=_seconds(ended.get("startedAt"), now),
        finished_at=_seconds(ended.get("finishedAt"), now),
        exit_code=ended.get("exitCode", LOST_EXIT_CODE),
        reason=ended.get("reason", ""),
    )


def _seconds(stamp: str | None, otherwise: float) -> float:
    return parse_rfc3339(stamp) if stamp else otherwise
