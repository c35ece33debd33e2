"""RuntimeClass: what a pod's class adds to it, overhead and where it may run
(plugin/pkg/admission/runtimeclass)."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks

_OTHER = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
_NONE = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


def _give_runtime(request: Attributes) -> None:
    spec = request.doc["spec"]
    if "runtimeClassName" not in spec and "overhead" not in spec:
        return
    runtime = _class_of(request, spec.get("runtimeClassName", ""))
    overhead = (runtime.get("overhead") or {}).get("podFixed") or {}
    if spec.get("overhead", overhead) != overhead:
        raise request.forbidden(_OTHER if overhead else _NONE)
    if overhead:
        spec["overhead"] = dict(overhead)
    _place(request, spec, runtime.get("scheduling") or {})


def _class_of(request: Attributes, name: str) -> Doc:
    if not name:
        return {}
    found = request.cache.get(kinds.RUNTIME_CLASS, "", name)
    if found is None:
        raise request.forbidden(f'pod rejected: RuntimeClass "{name}" not found')
    return found


def _place(request: Attributes, spec: Doc, scheduling: Doc) -> None:
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        had = spec.setdefault("nodeSelector", {}).setdefault(key, value)
        if had != value:
            raise request.forbidden(
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {had}"
            )
    given = spec.get("tolerations") or []
    added = [one for one in scheduling.get("tolerations") or () if one not in given]
    if added:
        spec["tolerations"] = [*given, *added]


HOOKS = Hooks(changes=(Hook(_give_runtime, (kinds.POD,), looks_up=(kinds.RUNTIME_CLASS,)),))
