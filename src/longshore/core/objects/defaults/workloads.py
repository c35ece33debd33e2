"""Defaults of the kinds that make pods, and of what scales them.

Source: pkg/apis/{apps,batch,autoscaling/v2}/v1/defaults.go and the replication controller's part
of pkg/apis/core/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Callable

from longshore.core.objects.defaults.claims import claim
from longshore.core.objects.defaults.pods import pod_spec
from longshore.core.objects.kinds import Doc

_NO_BACKOFF_LIMIT = 2**31 - 1
_SCALE_UP = (("Pods", 4), ("Percent", 100))
_SCALE_DOWN = (("Percent", 100),)
_SCALE_PERIOD_S = 15


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


def _replication_controller(doc: Doc) -> None:
    """Selector and labels are those of the template."""
    _replica_set(doc)
    spec = doc["spec"]
    labels = spec["template"]["metadata"].get("labels")
    if labels and not spec.get("selector"):
        spec["selector"] = dict(labels)
    _labels_of_template(doc)


def _labels_of_template(doc: Doc) -> None:
    labels = doc["spec"].get("template", {}).get("metadata", {}).get("labels")
    if labels and not doc["metadata"].get("labels"):
        doc["metadata"]["labels"] = dict(labels)


def _pod_template(doc: Doc) -> None:
    _template(doc)


def _daemon_set(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    _template(spec)


def _stateful_set(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    fill = spec.setdefault
    fill("replicas", 1)
    fill("revisionHistoryLimit", 10)
    fill("podManagementPolicy", "OrderedReady")
    retention = fill("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    strategy = fill("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("partition", 0)
        rolling.setdefault("maxUnavailable", 1)
    _template(spec)
    for one in spec.get("volumeClaimTemplates", ()):
        one["apiVersion"], one["kind"] = "v1", "PersistentVolumeClaim"
        claim(one)


# ---- jobs


def _job(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    fill = spec.setdefault
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    fill("parallelism", 1)
    fill("backoffLimit", _NO_BACKOFF_LIMIT if "backoffLimitPerIndex" in spec else 6)
    fill("completionMode", "NonIndexed")
    fill("suspend", False)
    fill("manualSelector", False)
    policy = spec.get("podFailurePolicy")
    fill("podReplacementPolicy", "TerminatingOrFailed" if policy is None else "Failed")
    _failure_policy(policy or {})
    _template(spec)
    _labels_of_template(doc)


def _failure_policy(policy: Doc) -> None:
    for rule in policy.get("rules", ()):
        for pattern in rule.get("onPodConditions", ()):
            pattern.setdefault("status", "True")


def _cron_job(doc: Doc) -> None:
    fill = doc.setdefault("spec", {}).setdefault
    fill("concurrencyPolicy", "Allow")
    fill("suspend", False)
    fill("successfulJobsHistoryLimit", 3)
    fill("failedJobsHistoryLimit", 1)
    job = fill("jobTemplate", {}).setdefault("spec", {})
    _failure_policy(job.get("podFailurePolicy", {}))
    _template(job)


# ---- autoscalers


def _autoscaler(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        behavior.setdefault("scaleUp", {}).setdefault("stabilizationWindowSeconds", 0)
        _scaling_rules(behavior["scaleUp"], _SCALE_UP)
        _scaling_rules(behavior.setdefault("scaleDown", {}), _SCALE_DOWN)


def _scaling_rules(rules: Doc, usual: tuple[tuple[str, int], ...]) -> None:
    rules.setdefault("selectPolicy", "Max")
    if "policies" not in rules:
        rules["policies"] = [
            {"type": kind, "value": value, "periodSeconds": _SCALE_PERIOD_S}
            for kind, value in usual
        ]


DEFAULTS: dict[str, Callable[[Doc], None]] = {
    "io.k8s.api.apps.v1.Deployment": _deployment,
    "io.k8s.api.apps.v1.ReplicaSet": _replica_set,
    "io.k8s.api.apps.v1.DaemonSet": _daemon_set,
    "io.k8s.api.apps.v1.StatefulSet": _stateful_set,
    "io.k8s.api.core.v1.ReplicationController": _replication_controller,
    "io.k8s.api.core.v1.PodTemplate": _pod_template,
    "io.k8s.api.batch.v1.Job": _job,
    "io.k8s.api.batch.v1.CronJob": _cron_job,
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler": _autoscaler,
}
