"""Resources of a pod as a whole, completed from those of its containers (KEP-2837).

Source: pkg/api/pod/util.go DefaultPodLevelResources.
"""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.quota.amounts import Amount, Amounts, read
from longshore.core.objects.quota.pods import total

_HUGE = "hugepages-"


def whole_pod(spec: Doc) -> None:
    """Complete spec.resources of a pod's spec, if it says anything, in place."""
    given = spec["resources"]
    if not given.get("requests") and not given.get("limits"):
        return
    parts: Doc = {name: spec[name] for name in ("containers", "initContainers") if name in spec}
    limits = total(parts, "limits")
    huge = {name: one for name, one in limits.items() if name.startswith(_HUGE)}
    _fill(given, "limits", {n: o for n, o in huge.items() if n not in given.get("requests", ())})
    asked = total(parts, "requests")
    _fill(given, "requests", {name: asked[name] for name in ("cpu", "memory") if name in asked})
    _fill(given, "requests", _whole(read(given.get("limits"))))
    _fill(given, "limits", _bounds(parts, limits, _whole(read(given.get("requests")))))


def _bounds(parts: Doc, limits: Amounts, requests: Amounts) -> Amounts:
    """Limits of the pod where each of its containers has one: their sum, or what is asked for if
    that is more."""
    containers = [one for some in parts.values() for one in some]
    bounded = {
        name for name in requests
        if all(name in (one.get("resources") or {}).get("limits", ()) for one in containers)
    }  # fmt: skip
    return {name: max(limits[name], requests[name], key=_value) for name in bounded}


def _value(amount: Amount) -> Amount:
    return Amount(amount.value)


def _whole(amounts: Amounts) -> Amounts:
    """Those that a pod can have as a whole."""
    return {
        name: one
        for name, one in amounts.items()
        if name in ("cpu", "memory") or name.startswith(_HUGE)
    }


def _fill(given: Doc, side: str, amounts: Amounts) -> None:
    for name in sorted(amounts):
        given.setdefault(side, {}).setdefault(name, amounts[name].text)
