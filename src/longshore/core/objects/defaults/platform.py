"""Defaults of network policies, storage, roles, priorities, flow control and devices.

Source: pkg/apis/{networking,storage,rbac,scheduling,flowcontrol,resource}/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Callable

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

# How long an offer stands that does not say so.
OFFER_LEASE_S = 30
_RBAC = "rbac.authorization.k8s.io"


def _network_policy(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    for field in ("ingress", "egress"):
        for one in spec.get(field, ()):
            for port in one.get("ports", ()):
                port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _ingress_class(doc: Doc) -> None:
    parameters = doc.get("spec", {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")


def _storage_class(doc: Doc) -> None:
    doc.setdefault("reclaimPolicy", "Delete")
    doc.setdefault("volumeBindingMode", "Immediate")


def _csi_driver(doc: Doc) -> None:
    fill = doc.setdefault("spec", {}).setdefault
    fill("attachRequired", True)
    fill("fsGroupPolicy", "ReadWriteOnceWithFSType")
    for field in ("podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"):
        fill(field, False)
    if not doc["spec"].get("volumeLifecycleModes"):
        doc["spec"]["volumeLifecycleModes"] = ["Persistent"]


def _binding(doc: Doc) -> None:
    ref = doc.setdefault("roleRef", {})
    if not ref.get("apiGroup"):
        ref["apiGroup"] = _RBAC
    for subject in doc.get("subjects", ()):
        if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
            subject["apiGroup"] = _RBAC


def _priority_class(doc: Doc) -> None:
    doc.setdefault("preemptionPolicy", "PreemptLowerPriority")
    doc.setdefault("value", 0)  # written even if zero


def _pod_group(doc: Doc) -> None:
    doc.setdefault("spec", {}).setdefault("disruptionMode", {"single": {}})


def _offer(doc: Doc) -> None:
    doc.setdefault("spec", {}).setdefault("leaseDurationSeconds", OFFER_LEASE_S)


def _cluster_queue(doc: Doc) -> None:
    fill = doc.setdefault("spec", {}).setdefault
    fill("queueingStrategy", "BestEffortFIFO")
    fill("stopPolicy", "None")
    fill("preemption", {}).setdefault("reclaimWithinCohort", "Never")


def _flow_schema(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000


def _priority_level(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    for field, shares in (("exempt", 0), ("limited", 30)):
        if field in spec:
            spec[field].setdefault("nominalConcurrencyShares", shares)
            spec[field].setdefault("lendablePercent", 0)
    queuing = spec.get("limited", {}).get("limitResponse", {}).get("queuing")
    if queuing is not None:
        for field, number in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
            if not queuing.get(field):
                queuing[field] = number


def _claim(doc: Doc) -> None:
    _claim_spec(doc.get("spec", {}))


def _claim_template(doc: Doc) -> None:
    _claim_spec(doc.get("spec", {}).get("spec", {}))


def _claim_spec(spec: Doc) -> None:
    for request in spec.get("devices", {}).get("requests", ()):
        exact = [request["exactly"]] if "exactly" in request else []
        for one in (*exact, *request.get("firstAvailable", ())):
            mode = one.setdefault("allocationMode", "ExactCount")
            if mode == "ExactCount" and not one.get("count"):
                one["count"] = 1


DEFAULTS: dict[str, Callable[[Doc], None]] = {
    kinds.OFFER.schema: _offer,
    kinds.CLUSTER_QUEUE.schema: _cluster_queue,
    kinds.POD_GROUP.schema: _pod_group,
    kinds.NETWORK_POLICY.schema: _network_policy,
    kinds.INGRESS_CLASS.schema: _ingress_class,
    kinds.STORAGE_CLASS.schema: _storage_class,
    kinds.CSI_DRIVER.schema: _csi_driver,
    kinds.ROLE_BINDING.schema: _binding,
    kinds.CLUSTER_ROLE_BINDING.schema: _binding,
    kinds.PRIORITY_CLASS.schema: _priority_class,
    kinds.FLOW_SCHEMA.schema: _flow_schema,
    kinds.PRIORITY_LEVEL.schema: _priority_level,
    kinds.RESOURCE_CLAIM.schema: _claim,
    kinds.RESOURCE_CLAIM_TEMPLATE.schema: _claim_template,
}
