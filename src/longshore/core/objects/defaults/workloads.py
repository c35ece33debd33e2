"""Defaults of the kinds that make pods.

Source: pkg/apis/apps/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Callable

from longshore.core.objects.defaults.pods import pod_spec
from longshore.core.objects.kinds import Doc


def _template(spec: Doc) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod_spec(template.setdefault("spec", {}))


def _deployment(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    _template(spec)


def _replica_set(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _template(spec)


DEFAULTS: dict[str, Callable[[Doc], None]] = {
    "io.k8s.api.apps.v1.Deployment": _deployment,
    "io.k8s.api.apps.v1.ReplicaSet": _replica_set,
}
