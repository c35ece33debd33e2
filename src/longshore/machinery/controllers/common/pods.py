"""What a pod's document says of its state. Pure; names as in upstream's pkg/api/v1/pod."""

from __future__ import annotations

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc

TERMINAL = ("Succeeded", "Failed")


def phase(pod: Doc) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def node_name(pod: Doc) -> str:
    return str(pod["spec"].get("nodeName") or "")


def is_terminal(pod: Doc) -> bool:
    return phase(pod) in TERMINAL


def is_active(pod: Doc) -> bool:
    """It counts: neither finished nor on its way out."""
    return not is_terminal(pod) and not pod["metadata"].get("deletionTimestamp")


def condition(doc: Doc, type_: str) -> Doc | None:
    for one in (doc.get("status") or {}).get("conditions") or ():
        if one.get("type") == type_:
            found: Doc = one
            return found
    return None


def ready_since(pod: Doc) -> float | None:
    """When it became ready, in seconds since the epoch; None if it is not."""
    ready = condition(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return None
    since = ready.get("lastTransitionTime")
    return parse_rfc3339(since) if since else 0.0


def standing(pod: Doc) -> tuple[object, ...]:
    """All of a pod that owners count it by; compared, it tells whether a change is news to them."""
    metadata, ready = pod["metadata"], condition(pod, "Ready") or {}
    return (
        metadata.get("labels"),
        metadata.get("ownerReferences"),
        metadata.get("deletionTimestamp"),
        phase(pod),
        ready.get("status"),
        ready.get("lastTransitionTime"),
    )


def is_ready(pod: Doc) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready.get("status") == "True"


def available_in_s(pod: Doc, min_ready_s: int, now: float) -> float | None:
    """Seconds until a ready pod counts as available: 0 if it does now, None if it is not ready."""
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, since + min_ready_s - now) if min_ready_s else 0.0


def restarts(pod: Doc) -> int:
    """The most restarts of any of its containers."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(one.get("restartCount", 0)) for one in statuses), default=0)
