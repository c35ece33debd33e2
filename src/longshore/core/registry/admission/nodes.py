"""TaintNodesByCondition: a new node takes no pods before it says that it is ready
(plugin/pkg/admission/nodetaint)."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks

_NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def _not_ready(request: Attributes) -> None:
    spec = request.doc.setdefault("spec", {})
    taints = spec.get("taints") or []
    if not any((one.get("key"), one.get("effect")) == (*_NOT_READY.values(),) for one in taints):
        spec["taints"] = [*taints, dict(_NOT_READY)]


HOOKS = Hooks(changes=(Hook(_not_ready, (kinds.NODE,)),))
