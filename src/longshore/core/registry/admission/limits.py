"""LimitRanger: what containers ask for if they do not say, and how much or little they, pods and
claims may ask for (plugin/pkg/admission/limitranger)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.quota.amounts import UNIT, Amount, Amounts, read
from longshore.core.objects.quota.pods import total
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks

_NOTE = "kubernetes.io/limit-ranger"
_CONTAINERS = (("containers", "container"), ("initContainers", "init container"))
_CLAIM = "PersistentVolumeClaim"


def _default(request: Attributes) -> None:
    for limit_range in _ranges(request):
        notes = list(_defaults(limit_range, request.doc["spec"]))
        if notes:
            annotations = request.doc["metadata"].setdefault("annotations", {})
            annotations[_NOTE] = f"LimitRanger plugin set: {'; '.join(notes)}"


def _ranges(request: Attributes) -> list[Doc]:
    return request.cache.indexed(kinds.LIMIT_RANGE, "namespace", request.namespace)


def _items(limit_range: Doc) -> list[Doc]:
    return (limit_range.get("spec") or {}).get("limits") or []


def _defaults(limit_range: Doc, spec: Doc) -> Iterator[str]:
    """Give containers what they lack; a note for each that lacked something."""
    given: dict[str, Doc] = {"requests": {}, "limits": {}}
    for item in _items(limit_range):
        if item.get("type") == "Container":
            given["requests"] |= item.get("defaultRequest") or {}
            given["limits"] |= item.get("default") or {}
    for field, called in _CONTAINERS:
        for container in spec.get(field) or ():
            for side, one in (("requests", "request"), ("limits", "limit")):
                if names := _complete(container, side, given[side]):
                    yield f"{', '.join(names)} {one} for {called} {container.get('name', '')}"


def _complete(container: Doc, side: str, given: Doc) -> list[str]:
    """The names of what was added."""
    had = (container.get("resources") or {}).get(side) or {}
    names = sorted(given.keys() - had.keys())
    if names:
        added = {name: given[name] for name in names}
        container.setdefault("resources", {})[side] = {**had, **added}
    return names


# ---- what may not be


def _check_pod(request: Attributes) -> None:
    spec = request.doc["spec"]
    for limit_range in _ranges(request):
        _refuse(request, _of_pod(limit_range, spec))


def _of_pod(limit_range: Doc, spec: Doc) -> Iterator[str]:
    for item in _items(limit_range):
        if item.get("type") == "Container":
            for field, _ in _CONTAINERS:
                for container in spec.get(field) or ():
                    resources = container.get("resources") or {}
                    sides = read(resources.get("requests")), read(resources.get("limits"))
                    yield from _broken(item, _POD_RULES, *sides)
        elif item.get("type") == "Pod":
            sides = (total(spec, "requests", overhead=False), total(spec, "limits", overhead=False))
            yield from _broken(item, _POD_RULES, *sides)


def _check_claim(request: Attributes) -> None:
    if request.old is not None and "deletionTimestamp" in request.old["metadata"]:
        return
    requests = read((request.doc["spec"].get("resources") or {}).get("requests"))
    for limit_range in _ranges(request):
        items = [item for item in _items(limit_range) if item.get("type") == _CLAIM]
        broken = (why for item in items for why in _broken(item, _CLAIM_RULES, requests, {}))
        _refuse(request, broken)


def _refuse(request: Attributes, broken: Iterator[str]) -> None:
    said = list(dict.fromkeys(broken))
    if said:
        raise request.forbidden(said[0] if len(said) == 1 else f"[{', '.join(said)}]")


_Rule = Callable[[Amount, Amount | None, Amount | None], str]
"""What is wrong, from what is set, requested and limited: "" or the end of a sentence."""


def _broken(
    item: Doc, rules: dict[str, _Rule], requests: Amounts, limits: Amounts
) -> Iterator[str]:
    for field, rule in rules.items():
        for name, bound in sorted(read(item.get(field)).items()):
            why = rule(bound, requests.get(name), limits.get(name))
            if why:
                yield _BEGINS[field].format(name=name, type=item["type"], bound=bound.text) + why


_BEGINS = {
    "min": "minimum {name} usage per {type} is {bound}",
    "max": "maximum {name} usage per {type} is {bound}",
    "maxLimitRequestRatio": "{name} max limit to request ratio per {type} is {bound}",
}


def _at_least(bound: Amount, request: Amount | None, limit: Amount | None) -> str:
    if request is None:
        return ".  No request is specified"
    if request.value < bound.value:
        return f", but request is {request.text}"
    if limit is not None and limit.value < bound.value:
        return f", but limit is {limit.text}"
    return ""


def _at_most(bound: Amount, request: Amount | None, limit: Amount | None) -> str:
    if limit is None:
        return ".  No limit is specified"
    if limit.value > bound.value:
        return f", but limit is {limit.text}"
    if request is not None and request.value > bound.value:
        return f", but request is {request.text}"
    return ""


def _requests_at_most(bound: Amount, request: Amount | None, _: Amount | None) -> str:
    if request is None:
        return ".  No request is specified"
    return f", but request is {request.text}" if request.value > bound.value else ""


def _ratio(bound: Amount, request: Amount | None, limit: Amount | None) -> str:
    if request is None or not request.value:
        return ", but no request is specified or request is 0"
    if limit is None or not limit.value:
        return ", but no limit is specified or limit is 0"
    ratio = Fraction(limit.value, request.value)
    within = ratio <= Fraction(bound.value, UNIT)
    return "" if within else f", but provided ratio is {float(ratio):f}"


_POD_RULES: dict[str, _Rule] = {
    "min": _at_least, "max": _at_most, "maxLimitRequestRatio": _ratio,
}  # fmt: skip
_CLAIM_RULES: dict[str, _Rule] = {"min": _at_least, "max": _requests_at_most}

HOOKS = Hooks(
    changes=(Hook(_default, (kinds.POD,), looks_up=(kinds.LIMIT_RANGE,)),),
    checks=(
        Hook(_check_pod, (kinds.POD,), looks_up=(kinds.LIMIT_RANGE,)),
        Hook(_check_pod, (kinds.POD,), ("update",), "resize"),
        Hook(_check_claim, (kinds.PVC,), ("create", "update")),
    ),
)
