"""kopf: a ConfigMap with the label copied=yes gets a copy that it owns."""

import kopf
from kubernetes import client, config


@kopf.on.startup()
def connect(**_):
    config.load_kube_config()


@kopf.on.create("configmaps", labels={"copied": "yes"}, backoff=0.2)
def copy(body, name, namespace, **_):
    made = {"metadata": {"name": f"{name}-copy"}, "data": dict(body["data"])}
    kopf.append_owner_reference(made)
    client.CoreV1Api().create_namespaced_config_map(namespace, made)


@kopf.on.update("configmaps", labels={"copied": "yes"}, field="data")
def follow(new, name, namespace, **_):
    client.CoreV1Api().patch_namespaced_config_map(f"{name}-copy", namespace, {"data": new})
