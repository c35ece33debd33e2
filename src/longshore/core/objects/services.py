"""What a Service was given by the system, kept when its owner replaces it.

A client that puts back a manifest without addresses and node ports does not mean to lose them
(pkg/registry/core/service/storage.go, patchAllocatedValues and normalizeClusterIPs).
"""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
_BALANCED = "LoadBalancer"
_ADDRESS_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def carry_allocations(new: Doc, old: Doc) -> Doc:
    """The new spec with the old one's address and node ports where it leaves them open, and
    without those that its type no longer has. Both are left as they are."""
    spec = dict(new)
    if new.get("type") == "ExternalName":
        if spec.get("clusterIP") == old.get("clusterIP"):
            spec = {k: v for k, v in spec.items() if k not in _ADDRESS_FIELDS}
    elif old.get("type") in WITH_ADDRESS and not new.get("clusterIP"):
        spec.update({field: old[field] for field in _ADDRESS_FIELDS if field in old})
    elif _knows_one_address(new, old):
        spec["clusterIPs"] = [new["clusterIP"]]
    if new.get("type") in WITH_NODE_PORTS:
        spec["ports"] = _carry_node_ports(new.get("ports", []), old.get("ports", []))
    elif old.get("type") in WITH_NODE_PORTS:
        spec["ports"] = _drop_same_node_ports(new.get("ports", []), old.get("ports", []))
    for field in _not_of_this_type(new, old):
        if new.get(field) == old.get(field):
            spec.pop(field, None)
    return spec


def _knows_one_address(new: Doc, old: Doc) -> bool:
    """Whether clusterIP was changed by somebody who left clusterIPs, which must say the same."""
    several = new.get("clusterIPs")
    changed = new.get("clusterIP") != old.get("clusterIP")
    return bool(several) and changed and several == old.get("clusterIPs")


def _not_of_this_type(new: Doc, old: Doc) -> list[str]:
    """The fields that the old type has and the new one has not. Whoever changes one of them in
    the same breath is told by the rules (pkg/registry/core/service dropTypeDependentFields)."""
    fields = []
    if _is_external(old) and not _is_external(new):
        fields.append("externalTrafficPolicy")
    if _is_checked(old) and not _is_checked(new):
        fields.append("healthCheckNodePort")
    if old.get("type") == _BALANCED != new.get("type"):
        fields += ["allocateLoadBalancerNodePorts", "loadBalancerClass"]
    return fields


def _is_external(spec: Doc) -> bool:
    """Whether it can be reached from outside."""
    if spec.get("type") in WITH_NODE_PORTS:
        return True
    return spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs"))


def _is_checked(spec: Doc) -> bool:
    """Whether balancers outside ask a port for its health."""
    return spec.get("type") == _BALANCED and spec.get("externalTrafficPolicy") == "Local"


def without_balancer(doc: Doc) -> Doc:
    """The Service with no balancer in its status, if its type has none."""
    if doc["spec"].get("type") == _BALANCED or not (doc.get("status") or {}).get("loadBalancer"):
        return doc
    return {**doc, "status": {**doc["status"], "loadBalancer": {}}}


def _carry_node_ports(new: list[Doc], old: list[Doc]) -> list[Doc]:
    had = {
        (p.get("protocol", ""), p.get("port", 0)): p["nodePort"] for p in old if p.get("nodePort")
    }
    asked = {port.get("nodePort") for port in new}
    return [_with_node_port(port, had, asked) for port in new]


def _with_node_port(port: Doc, had: dict[tuple[str, int], int], asked: set[int | None]) -> Doc:
    if port.get("nodePort"):
        return port
    kept = had.get((port.get("protocol", ""), port.get("port", 0)))
    return port if kept is None or kept in asked else {**port, "nodePort": kept}


def _drop_same_node_ports(new: list[Doc], old: list[Doc]) -> list[Doc]:
    """On the way to ClusterIP: a node port that was merely repeated goes away."""
    had = {port.get("nodePort") for port in old}
    return [
        {k: v for k, v in port.items() if k != "nodePort"} if port.get("nodePort") in had else port
        for port in new
    ]
