"""What a Service was given by the system, kept when its owner replaces it.

A client that puts back a manifest without addresses and node ports does not mean to lose them
(pkg/registry/core/service/storage.go, patchAllocatedValues and normalizeClusterIPs).
"""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
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
    if new.get("type") in WITH_NODE_PORTS:
        spec["ports"] = _carry_node_ports(new.get("ports", []), old.get("ports", []))
    elif old.get("type") in WITH_NODE_PORTS:
        spec["ports"] = _drop_same_node_ports(new.get("ports", []), old.get("ports", []))
    return spec


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
