"""What a pod asks for as a whole (component-helpers/resource: PodRequests, PodLimits)."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import Arithmetic, summed
from longshore.core.objects.quota.amounts import Amounts, add, raise_to, read

_EXACT = Arithmetic(read, add, raise_to)


def total(spec: Doc, side: str, *, overhead: bool = True) -> Amounts:
    """As pod_requests.summed() has it, with the pod's overhead."""
    asked = summed(spec, side, _EXACT)
    extra = read(spec.get("overhead")) if overhead else {}
    # A limit that is not there is no limit: overhead does not make one.
    add(asked, {name: one for name, one in extra.items() if side == "requests" or name in asked})
    return asked


def is_over(pod: Doc) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
