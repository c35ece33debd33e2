"""What taints a pod bears by itself: DefaultTolerationSeconds and ExtendedResourceToleration
(plugin/pkg/admission/{defaulttolerationseconds,extendedresourcetoleration})."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.names import is_extended_resource
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks

TOLERATION_S = 300
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def _patience(request: Attributes) -> None:
    """Five minutes of patience with a silent node, unless the pod says otherwise."""
    spec = request.doc["spec"]
    given = spec.get("tolerations", ())
    missing = [key for key in _TOLERATED if not any(_speaks_of(one, key) for one in given)]
    if missing:
        spec["tolerations"] = [*given, *map(_for_a_while, missing)]


def _for_a_while(key: str) -> Doc:
    return {
        "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_S,
    }  # fmt: skip


def _speaks_of(toleration: Doc, key: str) -> bool:
    effect = toleration.get("effect", "")
    return toleration.get("key", "") in (key, "") and effect in ("NoExecute", "")


def _devices(request: Attributes) -> None:
    """A pod that asks for a device bears the taint of the nodes that have it."""
    spec = request.doc["spec"]
    asked: set[str] = set()
    for container in (*(spec.get("initContainers") or ()), *spec.get("containers", ())):
        requests = (container.get("resources") or {}).get("requests") or {}
        asked.update(filter(is_extended_resource, requests))
    given = spec.get("tolerations") or []
    added = [_for_device(name) for name in sorted(asked)]
    if added:
        spec["tolerations"] = given + [one for one in added if one not in given]


def _for_device(name: str) -> Doc:
    return {"key": name, "operator": "Exists", "effect": "NoSchedule"}


DEFAULT_SECONDS = Hooks(changes=(Hook(_patience, (kinds.POD,), ("create", "update"), looks_up=()),))
EXTENDED_RESOURCE = Hooks(changes=(Hook(_devices, (kinds.POD,), looks_up=()),))
