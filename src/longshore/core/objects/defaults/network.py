"""Defaults of services and their endpoints.

Source: pkg/apis/{core,discovery}/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Callable

from longshore.core.objects.kinds import Doc


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


DEFAULTS: dict[str, Callable[[Doc], None]] = {
    "io.k8s.api.core.v1.Service": _service,
    "io.k8s.api.core.v1.Endpoints": _endpoints,
    "io.k8s.api.discovery.v1.EndpointSlice": _endpoint_slice,
}
