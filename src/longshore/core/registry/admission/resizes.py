"""PodResizeValidator: nobody asks a node for more than it has (plugin/pkg/admission/podresize)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amounts_of, requests_of
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks

_OS = "kubernetes.io/os"


def _validate(request: Attributes) -> None:
    name, old = request.doc["spec"].get("nodeName"), request.old
    if not name or (old is not None and old["spec"] == request.doc["spec"]):
        return
    node = request.cache.get(kinds.NODE, "", name)
    if node is None:
        raise request.forbidden(f'node "{name}" not found')
    system = (node["metadata"].get("labels") or {}).get(_OS, "linux")
    if system != "linux":
        why = f'pod resize is only supported on linux nodes, node "{name}" is "{system}"'
        raise request.forbidden(why)
    if short := list(_short(request.doc, node)):
        why = f"node didn't have enough allocatable resources: {'; '.join(short)}"
        raise request.forbidden(why)


def _short(pod: Doc, node: Doc) -> Iterator[str]:
    has = amounts_of((node.get("status") or {}).get("allocatable") or {})
    wants = requests_of(pod["spec"])
    for name in ("cpu", "memory"):
        if wants.get(name, 0) > has.get(name, 0):
            yield f"{name}, requested: {wants[name]}, allocatable: {has.get(name, 0)}"


HOOKS = Hooks(checks=(Hook(_validate, (kinds.POD,), ("update",), "resize"),))
