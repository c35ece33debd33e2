"""The official client's informer: Deployments roll out anew when the ConfigMap that they are
annotated with changes (restart-on: NAME)."""

import hashlib
import json

from kubernetes import client, config
from kubernetes.informer import ADDED, MODIFIED, SharedInformer


def run(stop):
    config.load_kube_config()
    informer = SharedInformer(client.CoreV1Api().list_config_map_for_all_namespaces)
    for happened in (ADDED, MODIFIED):
        informer.add_event_handler(happened, restart_users_of)
    informer.start()
    stop.wait()
    informer.stop()


def restart_users_of(config_map):
    apps, namespace = client.AppsV1Api(), config_map.metadata.namespace
    for deployment in apps.list_namespaced_deployment(namespace).items:
        if (deployment.metadata.annotations or {}).get("restart-on") == config_map.metadata.name:
            seen = {"metadata": {"annotations": {"config-seen": digest(config_map.data)}}}
            patch = {"spec": {"template": seen}}
            apps.patch_namespaced_deployment(deployment.metadata.name, namespace, patch)


def digest(data):
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
