"""What users ask about StatefulSets and DaemonSets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.script import Args

_MERGE = "application/merge-patch+json"
_APPS, _CORE = "/apis/apps/v1", "/api/v1"


class Ask(NamedTuple):
    """One request for the object at path below root."""

    method: str
    root: str
    path: str
    body: Doc | None = None
    content_type: str = "application/json"


def _container(image: str) -> Doc:
    requests = {"cpu": "50m", "memory": "32Mi"}
    return {"name": "main", "image": image, "resources": {"requests": requests}}


def _template(name: str, image: str) -> Doc:
    spec = {"containers": [_container(image)], "terminationGracePeriodSeconds": 2}
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def _path(plural: str, name: str = "") -> str:
    return f"/namespaces/default/{plural}" + (f"/{name}" if name else "")


def _made(kind: str, plural: str, name: str, spec: Doc) -> Ask:
    labels = {"matchLabels": {"app": name}}
    body = {
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"selector": labels, "template": _template(name, "main:0"), **spec},
    }  # fmt: skip
    return Ask("POST", _APPS, _path(plural), body)


def _changed(plural: str, name: str, spec: Doc) -> Ask:
    return Ask("PATCH", _APPS, _path(plural, name), {"spec": spec}, _MERGE)


def _deleted(plural: str, args: Args) -> Ask:
    options = {"propagationPolicy": args["propagation"]}
    return Ask("DELETE", _APPS, _path(plural, args["name"]), options)


def _image(args: Args) -> Doc:
    return {"template": {"spec": {"containers": [_container(args["image"])]}}}


def _apply_stateful(args: Args) -> Ask:
    spec = {"replicas": args["replicas"], "podManagementPolicy": args["policy"]}
    return _made("StatefulSet", "statefulsets", args["name"], spec)


def _apply_daemon(args: Args) -> Ask:
    surge = args["surge"]
    rolling = {"maxSurge": surge, "maxUnavailable": 0 if surge else 1}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return _made("DaemonSet", "daemonsets", args["name"], {"updateStrategy": strategy})


def _scale_stateful(args: Args) -> Ask:
    return _changed("statefulsets", args["name"], {"replicas": args["replicas"]})


ASKS: Mapping[str, Callable[[Args], Ask]] = {
    "apply stateful": _apply_stateful,
    "scale stateful": _scale_stateful,
    "set stateful image": lambda args: _changed("statefulsets", args["name"], _image(args)),
    "delete stateful": lambda args: _deleted("statefulsets", args),
    "delete member": lambda args: Ask("DELETE", _CORE, _path("pods", args["name"])),
    "apply daemon": _apply_daemon,
    "set daemon image": lambda args: _changed("daemonsets", args["name"], _image(args)),
    "delete daemon": lambda args: _deleted("daemonsets", args),
}
