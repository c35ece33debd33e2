"""Decide which IPAddresses there should be for a Service, and what a ServiceCIDR says. Pure.

Objects as pkg/registry/core/service/ipallocator and pkg/controller/servicecidrs make them.
"""

from __future__ import annotations

from dataclasses import dataclass

from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import conditions as cond

MANAGED_BY, FAMILY = "ipaddress.kubernetes.io/managed-by", "ipaddress.kubernetes.io/ip-family"
MANAGER = "ipallocator.k8s.io"
DEFAULT_RANGE = "kubernetes"


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
    """The status of the range that addresses are given out of; None if it says so already. now is
    in seconds since the epoch."""
    status = service_range.get("status") or {}
    if service_range["metadata"]["name"] != DEFAULT_RANGE:
        return None
    ready = {
        "type": "Ready", "status": "True", "reason": "", "lastTransitionTime": rfc3339(now),
        "message": "Kubernetes Service CIDR is ready",
    }  # fmt: skip
    before = status.get("conditions") or []
    told = cond.with_condition(before, ready)
    return None if told == before else {**status, "conditions": told}
