"""Which objects a quota with scopes is about (pkg/quota/v1/evaluator/core: podMatchesScopeFunc,
pvcMatchesScopeFunc)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.meta import qos_class

_TERMS = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def selectors_of(spec: Doc) -> list[Doc]:
    """All that a quota asks of what it counts."""
    selectors: list[Doc] = [
        {"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()
    ]
    chosen = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return [*selectors, *chosen]


def matches(selectors: Sequence[Doc], kind: Kind, doc: Doc) -> bool:
    """Whether the object is what all selectors ask for. Only pods and claims can be."""
    return all(_matches(selector, kind, doc) for selector in selectors)


def _matches(selector: Doc, kind: Kind, doc: Doc) -> bool:
    scope = selector["scopeName"]
    if kind is kinds.POD:
        if scope == "PriorityClass":
            name = doc["spec"].get("priorityClassName")
            return _chosen(selector, [name] if name else [])
        test = _OF_PODS.get(scope)
        return test is not None and test(doc)
    if kind is kinds.PVC and scope == "VolumeAttributesClass":
        return _chosen(selector, _attributes(doc))
    return False


def _chosen(selector: Doc, names: Sequence[str]) -> bool:
    """Whether one of the names is what a selector asks for; no name counts as a missing label."""
    values = selector.get("values") or ()
    match selector.get("operator"):
        case "In":
            return any(name in values for name in names)
        case "NotIn":
            return not names or any(name not in values for name in names)
        case "Exists":
            return bool(names)
        case "DoesNotExist":
            return not names
    return False


def _attributes(claim: Doc) -> list[str]:
    status = claim.get("status") or {}
    named = (
        claim["spec"].get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return [name for name in named if name]


def _is_terminating(pod: Doc) -> bool:
    return bool((pod["spec"].get("activeDeadlineSeconds") or -1) >= 0)


def _is_best_effort(pod: Doc) -> bool:
    return qos_class(pod) == "BestEffort"


def _crosses_namespaces(pod: Doc) -> bool:
    affinity = pod["spec"].get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        for when in _TERMS:
            for one in (affinity.get(field) or {}).get(when) or ():
                term = one.get("podAffinityTerm", one)
                if term.get("namespaces") or term.get("namespaceSelector") is not None:
                    return True
    return False


_OF_PODS: dict[str, Callable[[Doc], bool]] = {
    "Terminating": _is_terminating,
    "NotTerminating": lambda pod: not _is_terminating(pod),
    "BestEffort": _is_best_effort,
    "NotBestEffort": lambda pod: not _is_best_effort(pod),
    "CrossNamespacePodAffinity": _crosses_namespaces,
}
