"""An operator with PyPI kopf on a built-in kind: a labelled ConfigMap gets a copy that it owns."""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client, config

LABEL = "copied"


@kopf.on.startup()
def connect(**_: Any) -> None:
    config.load_kube_config()


@kopf.on.create("configmaps", labels={LABEL: "yes"})
def copy(body: Any, name: str, namespace: str, **_: Any) -> None:
    made = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-copy"},
        "data": dict(body["data"]),
    }
    kopf.append_owner_reference(made)
    client.CoreV1Api().create_namespaced_config_map(namespace, made)


@kopf.on.update("configmaps", labels={LABEL: "yes"}, field="data")
def follow(new: Any, name: str, namespace: str, **_: Any) -> None:
    client.CoreV1Api().patch_namespaced_config_map(f"{name}-copy", namespace, {"data": new})
