"""Objects from a line: "deployment web image=web:1 replicas=3". Pure.

A key is a word that the kind knows (image, cpu, memory, replicas, exit) or a path into the object
(spec.minReadySeconds); a number in a path is a place in a list; values are YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longshore.core.objects.kinds import Doc, Kind

_CONTAINER = "containers.0"
_WORDS: Mapping[str, str] = {
    "image": f"spec.{_CONTAINER}.image",
    "cpu": f"spec.{_CONTAINER}.resources.requests.cpu",
    "memory": f"spec.{_CONTAINER}.resources.requests.memory",
    "exit": "metadata.annotations.longshore\0io/hollow-exit",
}
_OLDEST = "ReplicationController"
_IN_TEMPLATE = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", _OLDEST)


def document(kind: Kind, name: str, settings: Mapping[str, str]) -> Doc:
    """The object of that kind and name; a name that ends with "-" is completed by the server."""
    field = "generateName" if name.endswith("-") else "name"
    doc: Doc = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {field: name}}
    stem = name.removesuffix("-")
    if kind.name == "Pod":
        doc["metadata"]["labels"] = {"app": stem}
    doc |= _usual(kind, stem)
    for key, value in settings.items():
        set_path(doc, _path(kind, key), _value(value))
    return doc


def set_path(doc: Any, path: str, value: Any) -> None:
    """Put a value where the path leads, through objects that need not be there."""
    steps = [step.replace("\0", ".") for step in path.split(".")]
    for step in steps[:-1]:
        doc = doc[int(step)] if isinstance(doc, list) else doc.setdefault(step, {})
    doc[steps[-1]] = value


def _path(kind: Kind, key: str) -> str:
    if key == "replicas":
        return "spec.replicas"
    inside = "spec.template." if kind.name in _IN_TEMPLATE else ""
    inside = "spec.jobTemplate.spec.template." if kind.name == "CronJob" else inside
    return inside + _WORDS[key] if key in _WORDS else key


def _value(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def _usual(kind: Kind, name: str) -> Doc:
    """What an object of that kind has if nothing else is said."""
    labels = {"app": name}
    pod_spec = {"containers": [{"name": name, "image": f"{name}:1"}]}
    if kind.name == "Pod":
        return {"spec": pod_spec}
    if kind.name in ("Job", "CronJob"):
        job = {"template": {"spec": {"restartPolicy": "Never", **pod_spec}}}
        return {"spec": job if kind.name == "Job" else {"jobTemplate": {"spec": job}}}
    if kind.name in _IN_TEMPLATE:
        template = {"metadata": {"labels": labels}, "spec": pod_spec}
        selector = {"matchLabels": dict(labels)} if kind.name != _OLDEST else dict(labels)
        return {"spec": {"selector": selector, "template": template}}
    if kind.name == "Service":
        return {"spec": {"selector": labels, "ports": [{"port": 80}]}}
    if kind.name == "PodDisruptionBudget":
        return {"spec": {"selector": {"matchLabels": labels}}}
    return {}
