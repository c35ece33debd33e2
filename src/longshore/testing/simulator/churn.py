"""What users ask about CronJobs, ReplicaSets of their own, claims and volumes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.script import Args
from longshore.testing.simulator.sets import Ask

_CORE, _APPS, _BATCH = "/api/v1", "/apis/apps/v1", "/apis/batch/v1"
_MERGE = "application/merge-patch+json"
_SIZE = {"storage": "1Gi"}
_MODES = ["ReadWriteOnce"]


def _path(plural: str, name: str = "") -> str:
    return f"/namespaces/default/{plural}" + (f"/{name}" if name else "")


def _body(api_version: str, kind: str, args: Args, spec: Doc) -> Doc:
    metadata = {"name": args["name"]}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _container(name: str) -> Doc:
    requests = {"cpu": "50m", "memory": "32Mi"}
    return {"name": name, "image": f"{name}:0", "resources": {"requests": requests}}


def _create_cron(args: Args) -> Ask:
    """Each minute a Job whose pod takes a while."""
    pod = {
        "metadata": {"annotations": {"longshore.io/hollow-exit": f"0 after {args['takes_s']}"}},
        "spec": {"restartPolicy": "Never", "containers": [_container("tick")]},
    }
    job = {"completions": 1, "parallelism": 1, "backoffLimit": 1000, "template": pod}
    spec = {
        "schedule": "* * * * *", "concurrencyPolicy": args["policy"],
        "successfulJobsHistoryLimit": 2, "jobTemplate": {"spec": job},
    }  # fmt: skip
    return Ask("POST", _BATCH, _path("cronjobs"), _body("batch/v1", "CronJob", args, spec))


def _suspend_cron(args: Args) -> Ask:
    patch = {"spec": {"suspend": args["suspend"]}}
    return Ask("PATCH", _BATCH, _path("cronjobs", args["name"]), patch, _MERGE)


def _create_set(args: Args) -> Ask:
    labels = {"app": args["name"]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [_container("main")]}}
    spec = {
        "replicas": args["replicas"], "selector": {"matchLabels": labels}, "template": template,
    }  # fmt: skip
    return Ask("POST", _APPS, _path("replicasets"), _body("apps/v1", "ReplicaSet", args, spec))


def _scale_set(args: Args) -> Ask:
    patch = {"spec": {"replicas": args["replicas"]}}
    return Ask("PATCH", _APPS, _path("replicasets", args["name"]), patch, _MERGE)


def _create_claim(args: Args) -> Ask:
    spec = {"storageClassName": "", "accessModes": _MODES, "resources": {"requests": _SIZE}}
    body = _body("v1", "PersistentVolumeClaim", args, spec)
    return Ask("POST", _CORE, _path("persistentvolumeclaims"), body)


def _create_volume(args: Args) -> Ask:
    spec = {
        "capacity": _SIZE, "accessModes": _MODES, "hostPath": {"path": f"/data/{args['name']}"},
    }  # fmt: skip
    return Ask("POST", _CORE, "/persistentvolumes", _body("v1", "PersistentVolume", args, spec))


def _deleted(root: str, path: str, args: Args) -> Ask:
    options = {"propagationPolicy": args.get("propagation", "Background")}
    return Ask("DELETE", root, f"{path}/{args['name']}", options)


ASKS: Mapping[str, Callable[[Args], Ask]] = {
    "create cron": _create_cron,
    "suspend cron": _suspend_cron,
    "delete cron": lambda args: _deleted(_BATCH, _path("cronjobs"), args),
    "create set": _create_set,
    "scale set": _scale_set,
    "delete set": lambda args: _deleted(_APPS, _path("replicasets"), args),
    "create claim": _create_claim,
    "delete claim": lambda args: _deleted(_CORE, _path("persistentvolumeclaims"), args),
    "create volume": _create_volume,
    "delete volume": lambda args: _deleted(_CORE, "/persistentvolumes", args),
}
