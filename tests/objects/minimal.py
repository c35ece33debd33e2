"""The smallest good object of each kind of the core, apps, batch, autoscaling and policy groups."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind

LABELS = {"app": "web"}
CONTAINER = {"name": "main", "image": "nginx:1.27"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}}
ENDING = {**TEMPLATE, "spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}
SELECTED = {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
_UID = "7d4a3f0e-0000-4000-8000-000000000001"

CASES: dict[Kind, Doc] = {
    kinds.CONFIG_MAP: {"data": {"a": "b"}},
    kinds.SECRET: {"data": {"a": "Yg=="}},
    kinds.SERVICE_ACCOUNT: {},
    kinds.POD_TEMPLATE: {"template": TEMPLATE},
    kinds.REPLICATION_CONTROLLER: {"spec": {"template": TEMPLATE}},
    kinds.RESOURCE_QUOTA: {"spec": {"hard": {"pods": "3", "requests.cpu": "500m"}}},
    kinds.LIMIT_RANGE: {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}},
    kinds.PVC: {"spec": CLAIM},
    kinds.PV: {"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
                        "hostPath": {"path": "/data"}}},
    kinds.DEPLOYMENT: {"spec": SELECTED},
    kinds.REPLICA_SET: {"spec": SELECTED},
    kinds.DAEMON_SET: {"spec": SELECTED},
    kinds.STATEFUL_SET: {"spec": {**SELECTED, "serviceName": "web"}},
    kinds.CONTROLLER_REVISION: {"data": {"spec": {}}, "revision": 1},
    kinds.JOB: {"spec": {"template": ENDING}},
    kinds.CRON_JOB: {
        "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": ENDING}}}},
    kinds.HPA: {"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}},
    kinds.PDB: {"spec": {"minAvailable": 1, "selector": {"matchLabels": LABELS}}},
}  # fmt: skip


def minimal(kind: Kind, **spec: Any) -> Doc:
    """A new document; spec adds to or replaces fields of the object's spec."""
    doc: Doc = {
        "apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": "web"},
        **CASES[kind],
    }  # fmt: skip
    if kind.namespaced:
        doc["metadata"]["namespace"] = "default"
    return {**doc, "spec": {**doc["spec"], **spec}} if spec else doc


def identified(doc: Doc) -> Doc:
    """With the uid that a registry would give."""
    return {**doc, "metadata": {**doc["metadata"], "uid": _UID}}
