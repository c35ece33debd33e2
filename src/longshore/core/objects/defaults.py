"""What a field holds if nobody set it: upstream's defaults, kind by kind.

Source: pkg/apis/{core,apps,discovery}/v1/defaults.go. Every function changes the document that it
is given, which must be a fresh decode that passed validation.check, and may be called again
without effect. Values are built anew each time, so no two documents share a default.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache

from longshore.core.objects.kinds import Doc, Kind

DEFAULT_MODE = 0o644
_CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")


def default(kind: Kind, doc: Doc) -> Doc:
    """Fill in what a new or replaced object leaves unset. Returns the same document."""
    doc.setdefault("metadata", {})
    fill = _BY_SCHEMA.get(kind.schema)
    if fill is not None:
        fill(doc)
    return doc


# ---- pods


def _pod(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        _host_ports(spec)
    _pod_spec(spec)
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        limits = container["resources"].get("limits")
        if limits:
            requests = container["resources"].setdefault("requests", {})
            for name, amount in limits.items():
                requests.setdefault(name, amount)


def _host_ports(spec: Doc) -> None:
    """In the host's network a container's port is the host's."""
    for name in ("containers", "initContainers"):
        for container in spec.get(name, ()):
            for port in container.get("ports", ()):
                if not port.get("hostPort") and "containerPort" in port:
                    port["hostPort"] = port["containerPort"]


def _pod_spec(spec: Doc) -> None:
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
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        source = volume.get(name)
        if source is not None:
            source.setdefault("defaultMode", DEFAULT_MODE)
    for item in (volume.get("downwardAPI") or {}).get("items", ()):
        _field_ref(item)
    for source in (volume.get("projected") or {}).get("sources", ()):
        _projected(source)
    for name, values in _VOLUME_DEFAULTS.items():
        source = volume.get(name)
        if source is not None:
            for key, value in values.items():
                source.setdefault(key, value)
    if "ephemeral" in volume:
        claim = volume["ephemeral"].get("volumeClaimTemplate") or {}
        claim.get("spec", {}).setdefault("volumeMode", "Filesystem")


def _projected(source: Doc) -> None:
    for item in (source.get("downwardAPI") or {}).get("items", ()):
        _field_ref(item)
    if "serviceAccountToken" in source:
        source["serviceAccountToken"].setdefault("expirationSeconds", 3600)


_VOLUME_DEFAULTS: dict[str, dict[str, str | bool]] = {
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


# ---- workloads


def _template(spec: Doc) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    _pod_spec(template.setdefault("spec", {}))


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


# ---- services


def _service(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    kind = spec.setdefault("type", "ClusterIP")
    if spec.setdefault("sessionAffinity", "None") == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", 10_800)
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, "") and "port" in port:
            port["targetPort"] = port["port"]
    if kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs")):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        _address_families(spec)


def _address_families(spec: Doc) -> None:
    address = spec.get("clusterIP") or next(iter(spec.get("clusterIPs", ())), "")
    if address:
        spec["clusterIP"] = address
        spec.setdefault("clusterIPs", [address])
    family = "IPv6" if ":" in address else "IPv4"
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = [family]
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _endpoints(doc: Doc) -> None:
    for subset in doc.get("subsets", ()):
        for port in subset.get("ports", ()):
            port.setdefault("protocol", "TCP")


def _endpoint_slice(doc: Doc) -> None:
    for port in doc.get("ports", ()):
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


# ---- the rest


def _secret(doc: Doc) -> None:
    plain = doc.pop("stringData", None)
    if plain:
        data = doc.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(value.encode()).decode()
    if not doc.get("type"):
        doc["type"] = "Opaque"


def _namespace(doc: Doc) -> None:
    metadata = doc["metadata"]
    if "name" in metadata:  # with generateName, the registry comes here again once it has one
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
    doc.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])


def _node(doc: Doc) -> None:
    status = doc.get("status")
    if status and "capacity" in status and "allocatable" not in status:
        status["allocatable"] = dict(status["capacity"])


_BY_SCHEMA: dict[str, Callable[[Doc], None]] = {
    "io.k8s.api.core.v1.Pod": _pod,
    "io.k8s.api.apps.v1.Deployment": _deployment,
    "io.k8s.api.apps.v1.ReplicaSet": _replica_set,
    "io.k8s.api.core.v1.Service": _service,
    "io.k8s.api.core.v1.Endpoints": _endpoints,
    "io.k8s.api.discovery.v1.EndpointSlice": _endpoint_slice,
    "io.k8s.api.core.v1.Secret": _secret,
    "io.k8s.api.core.v1.Namespace": _namespace,
    "io.k8s.api.core.v1.Node": _node,
}
