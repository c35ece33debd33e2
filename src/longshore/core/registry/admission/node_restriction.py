"""NodeRestriction: a node writes about itself and about its own pods, and nothing that would bring
other pods to it or other objects into its reach (plugin/pkg/admission/noderestriction).

What a node may not even ask for is refused by the Node authoriser before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.rules.certificates import signing_name
from longshore.core.registry.admission import node_certificates
from longshore.core.registry.admission.attributes import Attributes, Function, Hook, Hooks
from longshore.core.registry.admission.node_labels import forbidden_labels
from longshore.core.registry.admission.surroundings import Surroundings
from longshore.core.registry.permission.nodes import LEASE_NAMESPACE, node_of
from longshore.core.registry.permission.references import MIRROR, object_reference

_CLAIM_STATUSES = {
    "resourceClaimStatuses": "resource claim statues",
    "extendedResourceClaimStatus": "extended resource claim status",
    "nodeAllocatableResourceClaimStatuses": "node allocatable resource claim statuses",
}
_KUBELET_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
# What a node may say of a claim: how large its volume has become.
_RESIZING = ("capacity", "conditions", "allocatedResources", "allocatedResourceStatuses")


def _for_nodes(judge: Callable[[Attributes, str], str | None]) -> Function:
    """The judge, asked about nodes alone: it says what speaks against a request, if anything."""

    def check(request: Attributes) -> None:
        if request.who is None:
            return
        node = node_of(request.who)
        if node is None:
            return
        why = judge(request, node)
        if why is not None:
            raise request.forbidden(why)

    return check


# --- pods ---


def _new_pod(request: Attributes, node: str) -> str | None:
    pod = request.doc
    if MIRROR not in (pod["metadata"].get("annotations") or {}):
        return f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
    if pod["spec"].get("nodeName") != node:
        return f'node "{node}" can only create pods with spec.nodeName set to itself'
    why = _bad_owner(request, node)
    if why is not None:
        return why
    what = object_reference(pod["spec"])
    return f'node "{node}" can not create pods that reference {what}' if what else None


def _bad_owner(request: Attributes, node: str) -> str | None:
    owners = request.doc["metadata"].get("ownerReferences") or []
    if len(owners) > 1:
        return f'node "{node}" can only create pods with a single owner reference set to itself'
    owner = owners[0] if owners else {}
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
        return f'node "{node}" can only create pods with an owner reference set to itself'
    if not owner.get("controller"):
        return f'node "{node}" can only create pods with a controller owner reference set to itself'
    if owner.get("blockOwnerDeletion"):
        return f'node "{node}" must not set blockOwnerDeletion on an owner reference'
    found = request.cache.get(kinds.NODE, "", node)
    uid = found["metadata"]["uid"] if found is not None else ""
    if owner.get("uid") != uid:
        return f"node {node} UID mismatch: expected {owner.get('uid')} got {uid}"
    return None


def _gone_pod(request: Attributes, node: str) -> str | None:
    if _is_elsewhere(request, node):
        return f'node "{node}" can only delete pods with spec.nodeName set to itself'
    return None


def _evicted_pod(request: Attributes, node: str) -> str | None:
    if _is_elsewhere(request, node):
        return f"node {node} can only evict pods with spec.nodeName set to itself"
    return None


def _is_elsewhere(request: Attributes, node: str) -> bool:
    pod = request.cache.get(kinds.POD, request.namespace, request.name)
    return pod is not None and pod["spec"].get("nodeName") != node


def _pod_status(request: Attributes, node: str) -> str | None:
    new, old = request.doc, request.old
    assert old is not None
    if old["spec"].get("nodeName") != node:
        return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
    if _metadata(new, "labels") != _metadata(old, "labels"):
        return f'node "{node}" cannot update labels through pod status'
    after, before = new.get("status") or {}, old.get("status") or {}
    for field, what in _CLAIM_STATUSES.items():
        if (after.get(field) or None) != (before.get(field) or None):
            return f'node "{node}" cannot update {what}'
    return None


# --- the node itself ---


def _new_node(request: Attributes, node: str) -> str | None:
    why = _another_node(request, node)
    if why is not None:
        return why
    if (request.doc.get("spec") or {}).get("configSource") is not None:
        return f'node "{node}" is not allowed to create pods with a non-nil configSource'
    labels = forbidden_labels(_metadata(request.doc, "labels"), {})
    if labels:
        said = ", ".join(labels)
        return f'node "{node}" is not allowed to set the following labels: {said}'
    return None


def _changed_node(request: Attributes, node: str) -> str | None:
    new, old = request.doc, request.old
    assert old is not None
    why = _another_node(request, node)
    if why is not None:
        return why
    after, before = new.get("spec") or {}, old.get("spec") or {}
    source = after.get("configSource")
    if source is not None and source != before.get("configSource"):
        return f'node "{node}" is not allowed to update configSource to a new non-nil configSource'
    if (after.get("taints") or []) != (before.get("taints") or []):
        return f'node "{node}" is not allowed to modify taints'
    if _metadata(new, "ownerReferences") != _metadata(old, "ownerReferences"):
        return f'node "{node}" is not allowed to modify ownerReferences'
    labels = forbidden_labels(_metadata(new, "labels"), _metadata(old, "labels"))
    return f"is not allowed to modify labels: {', '.join(labels)}" if labels else None


def _another_node(request: Attributes, node: str) -> str | None:
    if request.name == node:
        return None
    return f'node "{node}" is not allowed to modify node "{request.name}"'


def _lease(request: Attributes, node: str) -> str | None:
    if request.namespace != LEASE_NAMESPACE:
        return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
    if request.name != node:
        return "can only access node lease with the same name as the requesting node"
    return None


def _csi_node(request: Attributes, node: str) -> str | None:
    if request.name != node:
        return "can only access CSINode with the same name as the requesting node"
    return None


# --- what is about it ---


def _claim_status(request: Attributes, node: str) -> str | None:
    assert request.old is not None
    if _without_size(request.doc) == _without_size(request.old):
        return None
    return (
        f'node "{node}" is not allowed to update fields other than status.quantity and '
        "status.conditions"
    )


def _without_size(claim: Doc) -> Doc:
    metadata = {
        key: value
        for key, value in claim["metadata"].items()
        if key not in ("resourceVersion", "managedFields")
    }
    status = {k: v for k, v in (claim.get("status") or {}).items() if k not in _RESIZING}
    return {**claim, "metadata": metadata, "status": status}


def _slice(request: Attributes, node: str) -> str | None:
    doc = request.doc
    if request.verb == "delete":
        doc = request.cache.get(kinds.RESOURCE_SLICE, "", request.name) or doc
    if (doc.get("spec") or {}).get("nodeName") == node:
        return None
    return f"can only {request.verb} ResourceSlice with the same NodeName as the requesting node"


def _signing_request(request: Attributes, node: str) -> str | None:
    spec = request.doc.get("spec") or {}
    if spec.get("signerName") not in _KUBELET_SIGNERS:
        return None
    if signing_name(spec.get("request", "")) == f"system:node:{node}":
        return None
    return f"can only create a node CSR with CN=system:node:{node}"


def _metadata(doc: Doc, field: str) -> Doc:
    found: Doc = doc["metadata"].get(field) or {}
    return found


def _checks(around: Surroundings) -> Iterator[Hook]:
    rows: tuple[tuple[Kind, str, str, Callable[[Attributes, str], str | None]], ...] = (
        (kinds.POD, "create", "", _new_pod),
        (kinds.POD, "delete", "", _gone_pod),
        (kinds.POD, "update", "status", _pod_status),
        (kinds.POD, "create", "eviction", _evicted_pod),
        (kinds.NODE, "create", "", _new_node),
        (kinds.NODE, "update", "", _changed_node),
        (kinds.NODE, "update", "status", _changed_node),
        (kinds.LEASE, "create", "", _lease),
        (kinds.LEASE, "update", "", _lease),
        (kinds.LEASE, "delete", "", _lease),
        (kinds.CSI_NODE, "create", "", _csi_node),
        (kinds.CSI_NODE, "update", "", _csi_node),
        (kinds.CSI_NODE, "delete", "", _csi_node),
        (kinds.PVC, "update", "status", _claim_status),
        (kinds.RESOURCE_SLICE, "create", "", _slice),
        (kinds.RESOURCE_SLICE, "delete", "", _slice),
        (kinds.CSR, "create", "", _signing_request),
        (
            kinds.POD_CERTIFICATE_REQUEST,
            "create",
            "",
            partial(node_certificates.judge, around),
        ),
    )
    for kind, verb, subresource, judge in rows:
        # Of others' pods than mirror pods, which name their node, nothing is looked up.
        yield Hook(_for_nodes(judge), (kind,), (verb,), subresource, looks_up=())


def hooks(around: Surroundings) -> Hooks:
    return Hooks(checks=tuple(_checks(around)))
