"""What a pod asks for as a whole (component-helpers/resource: PodRequests, PodLimits)."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.quota.amounts import Amounts, add, raise_to, read


def total(spec: Doc, side: str, *, overhead: bool = True) -> Amounts:
    """side is requests or limits: containers and sidecars together, or the peak of the init
    containers if that is more; what the pod says of itself; and its overhead."""
    summed: Amounts = {}
    for container in spec.get("containers") or ():
        add(summed, _of(container, side))
    sidecars, peak = _initial(spec, side)
    add(summed, sidecars)
    raise_to(summed, peak)
    summed |= _of(spec, side)
    extra = read(spec.get("overhead")) if overhead else {}
    # A limit that is not there is no limit: overhead does not make one.
    add(
        summed,
        {name: one for name, one in extra.items() if side == "requests" or name in summed},
    )
    return summed


def _initial(spec: Doc, side: str) -> tuple[Amounts, Amounts]:
    """What sidecars ask for together, and the most that is asked for while a pod starts."""
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _of(container, side)
        if container.get("restartPolicy") == "Always":
            add(sidecars, own)
            raise_to(peak, sidecars)
        else:
            add(own, sidecars)
            raise_to(peak, own)
    return sidecars, peak


def _of(holder: Doc, side: str) -> Amounts:
    return read((holder.get("resources") or {}).get(side))


def is_over(pod: Doc) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
