"""Bindings of default roles that this platform adds to upstream's, as kubeadm and k3s do: who
administers a cluster, how machines become nodes, and nodes stay it."""

from __future__ import annotations

from collections.abc import Mapping

_REQUESTS = "system:certificates.k8s.io:certificatesigningrequests"

ADMINISTRATORS = "longshore:cluster-admins"
"""The group of the administrator's certificate, and the binding that makes it one (kubeadm's
kubeadm:cluster-admins): unlike system:masters it can be taken away."""

BINDINGS: Mapping[str, tuple[str, str]] = {
    ADMINISTRATORS: ("cluster-admin", f"group:{ADMINISTRATORS}"),
    "longshore:node-bootstrap": ("system:node-bootstrapper", "group:system:bootstrappers"),
    "longshore:node-certificates": (f"{_REQUESTS}:nodeclient", "group:system:bootstrappers"),
    "longshore:node-renewal": (f"{_REQUESTS}:selfnodeclient", "group:system:nodes"),
}
"""By name: the ClusterRole, and who has it."""
