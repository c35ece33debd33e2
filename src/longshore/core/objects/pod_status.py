"""What kubectl get pods says of a pod: READY, STATUS, RESTARTS and the wide columns. Pure.

Source of the rules: printPod in pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.core.objects.spans import NONE, Since


def pod_cells(pod: Doc) -> list[Any]:
    """Every cell but the name and the age."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    sidecars = _sidecars(spec)
    shown = _running_side(status, sidecars)
    ready = sum(1 for one in shown if one.get("ready") and "running" in _state(one))
    total = len(spec.get("containers") or ()) + len(sidecars)
    initializing = _init_reason(spec, status, sidecars)
    if initializing:
        shown = list(status.get("initContainerStatuses") or ())
    return [
        f"{ready}/{total}", _reason(pod, status, initializing), _restarts(shown),
        _first_address(status), spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE, _gates(spec, status),
    ]  # fmt: skip


def pod_reason(pod: Doc) -> str:
    """The STATUS column: the phase, or what explains it better."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    return _reason(pod, status, _init_reason(spec, status, _sidecars(spec)))


def _reason(pod: Doc, status: Doc, initializing: str) -> str:
    reason = status.get("reason") or status.get("phase") or "Unknown"
    if _condition(status, "PodScheduled").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    if initializing:
        reason = initializing
    if not initializing or _condition(status, "Initialized").get("status") == "True":
        reason = _container_reason(status, reason)
    if "deletionTimestamp" in pod["metadata"]:
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return reason


def _init_reason(spec: Doc, status: Doc, sidecars: Collection[str]) -> str:
    """Why init containers still hold the pod back; empty if they do not."""
    total = len(spec.get("initContainers") or ())
    for index, one in enumerate(status.get("initContainerStatuses") or ()):
        state = _state(one)
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if one.get("name") in sidecars and one.get("started"):
            continue
        if ended is not None:
            return f"Init:{_ending(ended)}"
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{total}"
    return ""


def _container_reason(status: Doc, reason: str) -> str:
    has_running = False
    for one in reversed(status.get("containerStatuses") or ()):
        state = _state(one)
        ended = state.get("terminated")
        if (state.get("waiting") or {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif ended is not None:
            reason = _ending(ended)
        elif one.get("ready") and "running" in state:
            has_running = True
    if reason == "Completed" and has_running:
        return "Running" if _condition(status, "Ready").get("status") == "True" else "NotReady"
    return reason


def _ending(ended: Doc) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _restarts(shown: list[Doc]) -> str | Since:
    """The number of restarts, and when the last one was: "3 (5m ago)"."""
    count = sum(one.get("restartCount", 0) for one in shown)
    if not count:
        return "0"
    ends = [
        ((one.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for one in shown
    ]
    last = max((parse_rfc3339(end) for end in ends if end), default=0.0)
    return Since(last, f"{count} (", " ago)") if last else str(count)


def _running_side(status: Doc, sidecars: Collection[str]) -> list[Doc]:
    """Statuses of the containers that run as long as the pod does: its own and its sidecars."""
    mains = list(status.get("containerStatuses") or ())
    if not sidecars:
        return mains
    beside = [s for s in status.get("initContainerStatuses") or () if s.get("name") in sidecars]
    return beside + mains


def _sidecars(spec: Doc) -> Collection[str]:
    starters = spec.get("initContainers")
    if not starters:
        return ()
    return {c["name"] for c in starters if c.get("restartPolicy") == "Always"}


def _gates(spec: Doc, status: Doc) -> str:
    gates = spec.get("readinessGates")
    if not gates:
        return NONE
    kinds = [gate.get("conditionType", "") for gate in gates]
    passed = sum(_condition(status, kind).get("status") == "True" for kind in kinds)
    return f"{passed}/{len(kinds)}"


def _first_address(status: Doc) -> str:
    addresses = status.get("podIPs") or ()
    return (addresses[0].get("ip") if addresses else status.get("podIP")) or NONE


def _condition(status: Doc, kind: str) -> Doc:
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind:
            found: Doc = condition
            return found
    return {}


def _state(status: Doc) -> Doc:
    return status.get("state") or {}
