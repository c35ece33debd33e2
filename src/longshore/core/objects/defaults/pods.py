"""Defaults of pods and of what is inside a pod's template.

Source: pkg/apis/core/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from longshore.core.objects.defaults.whole_pods import whole_pod
from longshore.core.objects.kinds import Doc

DEFAULT_MODE = 0o644
_CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")


def _pod(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        _host_ports(spec)
    pod_spec(spec)
    if spec["terminationGracePeriodSeconds"] < 0:  # at once, and in good order
        spec["terminationGracePeriodSeconds"] = 1
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        limits = container["resources"].get("limits")
        if limits:
            requests = container["resources"].setdefault("requests", {})
            for name, amount in limits.items():
                requests.setdefault(name, amount)
    if "resources" in spec:
        whole_pod(spec)


def _host_ports(spec: Doc) -> None:
    """In the host's network a container's port is the host's."""
    for name in ("containers", "initContainers"):
        for container in spec.get(name, ()):
            for port in container.get("ports", ()):
                if not port.get("hostPort") and "containerPort" in port:
                    port["hostPort"] = port["containerPort"]


def pod_spec(spec: Doc) -> None:
    fill = spec.setdefault
    fill("restartPolicy", "Always")
    fill("dnsPolicy", "ClusterFirst")
    fill("terminationGracePeriodSeconds", 30)
    fill("schedulerName", "default-scheduler")
    fill("securityContext", {})
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:  # one is the old name of the other
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for name in _CONTAINER_LISTS:
        for container in spec.get(name, ()):
            _container(container)
    for volume in spec.get("volumes", ()):
        _volume(volume)


def _container(container: Doc) -> None:
    fill = container.setdefault
    fill("terminationMessagePath", "/dev/termination-log")
    fill("terminationMessagePolicy", "File")
    fill("imagePullPolicy", pull_policy(container.get("image", "")))
    fill("resources", {})
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for env in container.get("env", ()):
        source = env.get("valueFrom")
        if source:
            _field_ref(source)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _probe(probe)
    lifecycle = container.get("lifecycle")
    if lifecycle:
        for hook in lifecycle.values():
            if isinstance(hook, dict):  # stopSignal is a string
                _http_get(hook)


@lru_cache(maxsize=4096)
def pull_policy(image: str) -> str:
    """Always for a floating tag (latest, or none); a digest or another tag stays what it is."""
    if "@" in image:
        return "IfNotPresent"
    _, _, tag = image.rpartition("/")[2].partition(":")
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _probe(probe: Doc) -> None:
    fill = probe.setdefault
    fill("timeoutSeconds", 1)
    fill("periodSeconds", 10)
    fill("successThreshold", 1)
    fill("failureThreshold", 3)
    _http_get(probe)
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _http_get(handler: Doc) -> None:
    http = handler.get("httpGet")
    if http is not None:
        http.setdefault("path", "/")
        http.setdefault("scheme", "HTTP")


def _field_ref(source: Doc) -> None:
    if "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")
    if "resourceFieldRef" in source:
        source["resourceFieldRef"].setdefault("divisor", "0")


def _volume(volume: Doc) -> None:
    if len(volume) <= 1 and "name" in volume:
        volume["emptyDir"] = {}
        return
    for name, source in volume.items():
        if name != "name":
            _source(name, source)


def _source(name: str, source: Doc) -> None:
    match name:
        case "secret" | "configMap" | "downwardAPI" | "projected":
            source.setdefault("defaultMode", DEFAULT_MODE)
        case "image":
            source.setdefault("pullPolicy", pull_policy(source.get("reference", "")))
        case "ephemeral":
            claim = source.get("volumeClaimTemplate") or {}
            claim.get("spec", {}).setdefault("volumeMode", "Filesystem")
    if name == "downwardAPI":
        for item in source.get("items", ()):
            _field_ref(item)
    for part in source.get("sources", ()) if name == "projected" else ():
        _projected(part)
    for key, value in VOLUME_DEFAULTS.get(name, {}).items():
        source.setdefault(key, value)


def _projected(source: Doc) -> None:
    for item in (source.get("downwardAPI") or {}).get("items", ()):
        _field_ref(item)
    if "serviceAccountToken" in source:
        source["serviceAccountToken"].setdefault("expirationSeconds", 3600)


VOLUME_DEFAULTS: dict[str, dict[str, str | bool]] = {
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {
        "cachingMode": "ReadWrite",
        "kind": "Shared",
        "fsType": "ext4",
        "readOnly": False,
    },
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}

DEFAULTS: dict[str, Callable[[Doc], None]] = {
    "io.k8s.api.core.v1.Pod": _pod,
}
