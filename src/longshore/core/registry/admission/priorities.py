"""Priority: a pod's priority is that of its PriorityClass (plugin/pkg/admission/priority)."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.priorities import SYSTEM_PRIORITIES
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.watch.cache import Cache

_LOWER = "PreemptLowerPriority"
_COMPUTED = "priority admission controller computed {} from the given PriorityClass name"
_KEPT = ("priority", "preemptionPolicy")


def _prioritise(request: Attributes) -> None:
    spec = request.doc["spec"]
    name = spec.get("priorityClassName", "")
    given = _named(request, name) if name else _default(request.cache)
    if given is None:
        value, policy = 0, _LOWER
    else:
        value, policy = given.get("value", 0), given.get("preemptionPolicy", _LOWER)
        spec["priorityClassName"] = given["metadata"]["name"]
    if spec.setdefault("priority", value) != value:
        why = f"the integer value of priority ({spec['priority']}) must not be provided in pod spec"
        raise request.forbidden(f"{why}; {_COMPUTED.format(value)}")
    if spec.setdefault("preemptionPolicy", policy) != policy:
        said = spec["preemptionPolicy"]
        why = f"the string value of PreemptionPolicy ({said}) must not be provided in pod spec"
        raise request.forbidden(f"{why}; {_COMPUTED.format(policy)}")


def _prioritise_group(request: Attributes) -> None:
    spec = request.doc["spec"]
    name = spec.get("priorityClassName", "")
    given = _named(request, name) if name else _default(request.cache)
    value = 0 if given is None else given.get("value", 0)
    if given is not None:
        spec["priorityClassName"] = given["metadata"]["name"]
    if (said := spec.setdefault("priority", value)) != value:
        why = f"priority set in the pod group ({said}) must match the priority computed ({value})"
        raise request.forbidden(f"{why} based on the priority class set in the spec")


def _keep(request: Attributes) -> None:
    """Who replaces a pod by what it once sent leaves its priority as it is."""
    assert request.old is not None
    new, old = request.doc["spec"], request.old["spec"]
    for field in _KEPT:
        if field in old:
            new.setdefault(field, old[field])


def _named(request: Attributes, name: str) -> Doc:
    found = request.cache.get(kinds.PRIORITY_CLASS, "", name) or SYSTEM_PRIORITIES.get(name)
    if found is None:
        raise request.forbidden(f"no PriorityClass with name {name} was found")
    return found


def _default(cache: Cache) -> Doc | None:
    """That of pods that name none; the lowest, should there be several."""
    defaults = cache.indexed(kinds.PRIORITY_CLASS, "default", "")
    return min(defaults, key=lambda doc: int(doc.get("value", 0))) if defaults else None


def _single_default(request: Attributes) -> None:
    if not request.doc.get("globalDefault"):
        return
    for other in request.cache.indexed(kinds.PRIORITY_CLASS, "default", ""):
        taken = other["metadata"]["name"]
        if taken != request.name:
            why = f"PriorityClass {taken} is already marked as default. Only one default can exist"
            raise request.forbidden(why)


HOOKS = Hooks(
    changes=(
        Hook(_prioritise, (kinds.POD,), looks_up=(kinds.PRIORITY_CLASS,)),
        Hook(_keep, (kinds.POD,), ("update",)),
        Hook(_prioritise_group, (kinds.POD_GROUP,), looks_up=(kinds.PRIORITY_CLASS,)),
    ),
    checks=(Hook(_single_default, (kinds.PRIORITY_CLASS,), ("create", "update")),),
)
