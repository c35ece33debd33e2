"""Decide which IPAddresses there should be for a Service, and what a ServiceCIDR says. Pure.

Objects as pkg/registry/core/service/ipallocator and pkg/controller/servicecidrs make them.
"""

from __future__ import annotations

from dataclasses import dataclass

from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import conditions as cond
from longshore.machinery.controllers.common.owners import is_deleting

MANAGED_BY, FAMILY = "ipaddress.kubernetes.io/managed-by", "ipaddress.kubernetes.io/ip-family"
MANAGER = "ipallocator.k8s.io"
DEFAULT_RANGE = "kubernetes"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
_NOT_USED = f"addresses are given out of the ServiceCIDR {DEFAULT_RANGE} alone"
_IN_USE = (
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new "
    "ServiceCIDR"
)


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """delete goes before create."""

    delete: Doc | None = None
    create: Doc | None = None


def addresses_of(service: Doc | None) -> list[str]:
    """The cluster addresses that a Service holds."""
    spec = (service or {}).get("spec") or {}
    given = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    return [one for one in given if one and one != "None"]


def parent_of(address: Doc) -> tuple[str, str] | None:
    """Namespace and name of the Service for which the cluster keeps this IPAddress; None if it is
    another's."""
    parent = (address.get("spec") or {}).get("parentRef") or {}
    labels = address["metadata"].get("labels") or {}
    if labels.get(MANAGED_BY) != MANAGER or parent.get("resource") != "services":
        return None
    return parent.get("namespace", ""), parent.get("name", "")


def plan(
    address: str, service: tuple[str, str], holder: Doc | None, there: Doc | None
) -> AddressPlan:
    """service is a namespace and a name, holder the Service of that name, there the IPAddress."""
    held = address in addresses_of(holder)
    if there is None:
        return AddressPlan(create=_new(address, service)) if held else AddressPlan()
    owner = parent_of(there)
    if owner is None or held == (owner == service):
        return AddressPlan()
    if held:
        return AddressPlan(there, _new(address, service))
    return AddressPlan(delete=there)


def _new(address: str, service: tuple[str, str]) -> Doc:
    namespace, name = service
    family = "IPv6" if ":" in address else "IPv4"
    return {
        "apiVersion": kinds.IP_ADDRESS.api_version,
        "kind": kinds.IP_ADDRESS.name,
        "metadata": {"name": address, "labels": {FAMILY: family, MANAGED_BY: MANAGER}},
        "spec": {
            "parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": name}
        },
    }


def readiness(service_range: Doc, now: float) -> Doc | None:
    """The status of a range: addresses are given out of the default one alone, since nodes route no
    other. None if it says so already. now is in seconds since the epoch."""
    if service_range["metadata"]["name"] != DEFAULT_RANGE:
        told = _ready("False", "NotSupported", _NOT_USED, now)
    elif is_deleting(service_range):
        told = _ready("False", "Terminating", _IN_USE, now)
    else:
        told = _ready("True", "", "Kubernetes Service CIDR is ready", now)
    status = service_range.get("status") or {}
    before = status.get("conditions") or []
    after = cond.with_condition(before, told)
    return None if after == before else {**status, "conditions": after}


def _ready(status: str, reason: str, message: str, now: float) -> Doc:
    return {
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": rfc3339(now),
    }  # fmt: skip


def is_unprotected(service_range: Doc) -> bool:
    """Whether it is the range that addresses are given out of, and could be deleted under them."""
    metadata = service_range["metadata"]
    ours = metadata["name"] == DEFAULT_RANGE and not is_deleting(service_range)
    return ours and FINALIZER not in (metadata.get("finalizers") or ())
