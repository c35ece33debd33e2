"""What may change of a pod that is resized (pkg/apis/core/validation: ValidatePodResize)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc
from longshore.core.objects.meta import qos_class
from longshore.core.objects.resizing import LISTS, names_of
from longshore.core.objects.rules.pods import pod_spec
from longshore.core.objects.rules.problems import ROOT, SPEC, Path, Problems

_MIRROR = "kubernetes.io/config.mirror"
_RESIZABLE = ("cpu", "memory")


def resize_update(new: Doc, old: Doc, problems: Problems) -> None:
    """new is the old pod with other resources (objects.resizing: resized)."""
    if _MIRROR in (old["metadata"].get("annotations") or {}):
        problems.forbidden(ROOT, "static pods cannot be resized")
        return
    if (old["spec"].get("os") or {}).get("name") == "windows":
        problems.forbidden(ROOT, "windows pods cannot be resized")
        return
    pod_spec(new["spec"], SPEC, problems)
    before = (old.get("status") or {}).get("qosClass") or qos_class(old)
    if qos_class(new) != before:
        why = "Pod QOS Class may not change as a result of resizing"
        problems.invalid(SPEC, before, why)
    if not _is_supported(old):
        problems.forbidden(SPEC, "Pod running on node without support for resize")
    _whole_pod(new["spec"], old["spec"], problems)
    if _same_containers(new["spec"], old["spec"], problems):
        _containers(new["spec"], old["spec"], problems)


def _is_supported(pod: Doc) -> bool:
    """A node that can do it says what its containers have."""
    for one in (pod.get("status") or {}).get("containerStatuses") or ():
        if "running" in (one.get("state") or {}):
            return "resources" in one
    return True


def _whole_pod(new: Doc, old: Doc, problems: Problems) -> None:
    if not (new.get("resources") or old.get("resources")):
        return
    path = (SPEC, "resources")
    after, before = new.get("resources") or {}, old.get("resources") or {}
    for side in _removed(after, before):
        problems.forbidden((path, side), f"pod-level resource {side} cannot be removed")
    if _fixed(after) != _fixed(before):
        problems.forbidden(SPEC, "only cpu and memory resources are mutable at pod-level")


def _same_containers(new: Doc, old: Doc, problems: Problems) -> bool:
    """Whether the lists have the same containers in the same order."""
    known = len(problems.causes)
    for name in LISTS:
        after, before, path = names_of(new.get(name)), names_of(old.get(name)), (SPEC, name)
        if len(after) != len(before):
            problems.forbidden(path, f"{name} may not be added or removed on resize")
            continue
        for index, (one, other) in enumerate(zip(after, before, strict=True)):
            if one != other:
                at = ((path, index), "name")
                problems.forbidden(at, f"{name} may not be renamed or reordered on resize")
    return len(problems.causes) == known


def _containers(new: Doc, old: Doc, problems: Problems) -> None:
    for name in LISTS:
        pairs = zip(new.get(name) or (), old.get(name) or (), strict=True)
        for index, (after, before) in enumerate(pairs):
            _container(after, before, ((SPEC, name), index), problems)


def _container(new: Doc, old: Doc, path: Path, problems: Problems) -> None:
    after, before = new.get("resources") or {}, old.get("resources") or {}
    for side in _removed(after, before):
        at = ((path, "resources"), side)
        problems.forbidden(at, f"resource {side} cannot be removed")
    plain = path is not None and path[0] == (SPEC, "initContainers")
    same = _fixed(after) == _fixed(before) and new.get("resizePolicy") == old.get("resizePolicy")
    if not same and plain:
        why = "only cpu and memory resources for init or sidecar containers are mutable"
        problems.forbidden(path, why)
    elif not same:
        problems.forbidden(SPEC, "only cpu and memory resources are mutable")
    if plain and old.get("restartPolicy") != "Always" and new != old and _restarts(new):
        why = (
            "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
        )
        problems.forbidden(path, why)


def _restarts(container: Doc) -> bool:
    return any(
        one.get("restartPolicy") == "RestartContainer"
        for one in container.get("resizePolicy") or ()
    )


def _removed(new: Doc, old: Doc) -> Iterator[str]:
    for side in ("requests", "limits"):
        if (old.get(side) or {}).keys() - (new.get(side) or {}).keys():
            yield side


def _fixed(resources: Doc) -> Doc:
    """What of resources stays as it is."""
    return {
        side: {
            name: one for name, one in (resources.get(side) or {}).items() if name not in _RESIZABLE
        }
        for side in ("requests", "limits")
    } | {"claims": resources.get("claims")}
