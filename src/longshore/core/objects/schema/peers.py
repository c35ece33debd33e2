"""The definitions of what nodes enforce NetworkPolicies and route by (network.longshore.io/v1): pods,
namespaces and nodes as every node may know them, in the shape of their own kinds."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import NAMESPACE_PEER, NODE_PEER, PEERS, POD_PEER, Kind

_META = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1."
_CORE = "#/definitions/io.k8s.api.core.v1."

Definition = dict[str, Any]


def peer_definitions() -> dict[str, Definition]:
    """By name, as OpenAPI v2 has them. Built anew: the caller may keep or change it."""
    spec = {
        "$ref": f"{_CORE}PodSpec",
        "description": "Of it only where the pod is, and its containers' named ports.",
    }
    status = {"$ref": f"{_CORE}PodStatus", "description": "Of it only phase and address."}
    node_spec = {"$ref": f"{_CORE}NodeSpec", "description": "Of it only the range of its pods."}
    addresses = {"$ref": f"{_CORE}NodeStatus", "description": "Of it only internal addresses."}
    whats = {
        POD_PEER: ("A pod, as network policies see it.", {"spec": spec, "status": status}),
        NAMESPACE_PEER: ("A namespace, as network policies see it: its labels.", {}),
        NODE_PEER: ("A node, as the way to its pods.", {"spec": node_spec, "status": addresses}),
    }
    found: dict[str, Definition] = {}
    for kind in PEERS:
        description, fields = whats[kind]
        metadata = _reference("ObjectMeta", "Without annotations, owners and managers.")
        found[kind.schema] = _object(kind, kind.name, description, {"metadata": metadata, **fields})
        found[f"{kind.schema}List"] = _list(kind)
    return found


def _list(kind: Kind) -> Definition:
    items = {"type": "array", "items": {"$ref": f"#/definitions/{kind.schema}"},
             "description": "The objects."}  # fmt: skip
    fields = {"items": items, "metadata": _reference("ListMeta", "The list's metadata.")}
    return _object(kind, kind.list_name, f"A list of {kind.name}.", fields) | {
        "required": ["items"]
    }


def _reference(name: str, description: str) -> Definition:
    return {"$ref": f"{_META}{name}", "description": description}


def _object(kind: Kind, name: str, description: str, fields: Definition) -> Definition:
    typed = {
        "apiVersion": {"type": "string", "description": "The version of this form of the object."},
        "kind": {"type": "string", "description": "What the object is."},
    }
    gvk = {"group": kind.group, "kind": name, "version": kind.version}
    return {
        "description": description, "type": "object", "properties": {**typed, **fields},
        "x-kubernetes-group-version-kind": [gvk],
    }  # fmt: skip
