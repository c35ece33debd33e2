"""What becomes of a CertificateSigningRequest. Pure.

Rules: kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests, and
pkg/controller/certificates."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.core.pki.requests import Asked

CLIENT = "kubernetes.io/kube-apiserver-client"
NODE_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
NODE_SERVING = "kubernetes.io/kubelet-serving"
LIFETIME_S = 365 * 86_400
"""The longest that is granted; requests may ask for less."""
_LIFETIME_MIN_S = 600
_NODES, _NODE = "system:nodes", "system:node:"
_KEPT_S, _WAITING_S = 3600.0, 86_400.0
_NODE_CLIENT_USAGES = {"digital signature", "client auth"}
_NODE_SERVING_USAGES = {"digital signature", "server auth"}
_FOR_RSA = {"key encipherment"}


@dataclass(frozen=True, slots=True)
class Approval:
    """What allows a request to be approved without a person: a permission of the asker (to create
    this subresource of certificatesigningrequests), and how that is told. No permission: the asker
    may because of what it asks for."""

    permission: str
    message: str


def approvals(doc: Doc, asked: Asked, own_addresses: Collection[str]) -> list[Approval]:
    """The ways to approve it, to be tried in order. own_addresses are those that the asking node
    reports of itself (empty if no node asks).

    Upstream leaves serving certificates of nodes to people; here a node gets one for its own name
    and addresses, since it is already believed about those.
    """
    spec = doc["spec"]
    own = spec.get("username") == asked.common_name
    if spec["signerName"] == NODE_SERVING:
        named = {*asked.dns_names, *asked.ip_addresses}
        if own and not problem(doc, asked) and named <= set(own_addresses):
            return [Approval("", "Auto approving kubelet serving certificate of the node itself.")]
        return []
    if spec["signerName"] != NODE_CLIENT or problem(doc, asked):
        return []
    who = [("selfnodeclient", "self ")] if own else []
    return [
        Approval(
            permission,
            f"Auto approving {whose}kubelet client certificate after SubjectAccessReview.",
        )
        for permission, whose in (*who, ("nodeclient", ""))
    ]


def is_ours(doc: Doc) -> bool:
    """Whether the request is for a signer of this cluster's."""
    return doc["spec"]["signerName"] in _PROBLEMS


def problem(doc: Doc, asked: Asked) -> str:
    """Why its signer does not sign it; empty if it does (pkg/apis/certificates/helpers.go)."""
    return _PROBLEMS[doc["spec"]["signerName"]](asked, set(doc["spec"]["usages"]))


def lifetime_s(doc: Doc) -> float:
    wanted = doc["spec"].get("expirationSeconds") or LIFETIME_S
    return float(min(max(wanted, _LIFETIME_MIN_S), LIFETIME_S))


def ends_at(doc: Doc) -> float:
    """When the request is tidied away: an hour after it was decided, a day after it was made."""
    since = parse_rfc3339(doc["metadata"]["creationTimestamp"])
    status = doc.get("status") or {}
    due = [since + _WAITING_S] if not status.get("conditions") else []
    for condition in status.get("conditions") or ():
        told = parse_rfc3339(condition["lastUpdateTime"])
        waits = condition["type"] == "Approved" and not status.get("certificate")
        due.append(told + (_WAITING_S if waits else _KEPT_S))
    return min(due)


def has(doc: Doc, *types: str) -> bool:
    """Whether it carries a condition of one of these types."""
    return any(one["type"] in types for one in (doc.get("status") or {}).get("conditions") or ())


def with_condition(doc: Doc, kind: str, reason: str, message: str) -> Doc:
    status = doc.get("status") or {}
    told = {"type": kind, "status": "True", "reason": reason, "message": message}
    return {**doc, "status": {**status, "conditions": [*(status.get("conditions") or ()), told]}}


def _client_problem(_: Asked, usages: set[str]) -> str:
    strange = sorted(usages - _NODE_CLIENT_USAGES - _FOR_RSA)
    if strange:
        return f"invalid usage for client certificate: {strange[0]}"
    return (
        ""
        if "client auth" in usages
        else "missing required usage for client certificate: client auth"
    )


def _node_client_problem(asked: Asked, usages: set[str]) -> str:
    for what, given in (
        ("DNS", asked.dns_names), ("Email", asked.emails),
        ("IP", asked.ip_addresses), ("URI", asked.uris),
    ):  # fmt: skip
        if given:
            return f"{what} subjectAltNames are not allowed"
    return _node_problem(asked, usages, _NODE_CLIENT_USAGES)


def _node_serving_problem(asked: Asked, usages: set[str]) -> str:
    if not asked.dns_names and not asked.ip_addresses:
        return "DNS or IP subjectAltName is required"
    for what, given in (("Email", asked.emails), ("URI", asked.uris)):
        if given:
            return f"{what} subjectAltNames are not allowed"
    return _node_problem(asked, usages, _NODE_SERVING_USAGES)


def _node_problem(asked: Asked, usages: set[str], needed: set[str]) -> str:
    if asked.organizations != (_NODES,):
        return f"subject organization is not {_NODES}"
    if not asked.common_name.startswith(_NODE):
        return f"subject common name does not begin with {_NODE}"
    if usages - _FOR_RSA != needed:
        return f"usages did not match {sorted(needed | _FOR_RSA)}"
    return ""


_PROBLEMS: dict[str, Callable[[Asked, set[str]], str]] = {
    CLIENT: _client_problem,
    NODE_CLIENT: _node_client_problem,
    NODE_SERVING: _node_serving_problem,
}
