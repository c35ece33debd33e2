"""Claims of devices: which ones a pod has, who may use them, and what becomes of them. Pure.

Rules: k8s.io/dynamic-resource-allocation/resourceclaim, KEP-4381.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc

FINALIZER = "resource.kubernetes.io/delete-protection"
"""Keeps an allocated claim until its devices are nobody's."""
POD_CLAIM = "resource.kubernetes.io/pod-claim-name"
"""Of a claim made from a template: for which of its pod's claims."""
ADMIN_ACCESS = "resource.kubernetes.io/admin-access"
"""The label of namespaces in which devices may be used that others have."""
RESERVED_MAX = 256
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class PodClaim:
    """One of a pod's claims. claim is the ResourceClaim's name: empty as long as it is to be made from
    the template, None if it was found that none is needed."""

    name: str
    claim: str | None
    template: str = ""


def claims_of(pod: Doc) -> Iterator[PodClaim]:
    """In the order of the pod's spec."""
    given = pod["spec"].get("resourceClaims")
    if not given:
        return
    made = {
        one["name"]: one.get("resourceClaimName")
        for one in (pod.get("status") or {}).get("resourceClaimStatuses") or ()
    }
    for one in given:
        template = one.get("resourceClaimTemplateName") or ""
        named = one.get("resourceClaimName") or ""
        yield PodClaim(one["name"], made.get(one["name"], "") if template else named, template)


def claim_names(pod: Doc) -> Iterator[str]:
    """The names of the claims that are there, or should be."""
    return (one.claim for one in claims_of(pod) if one.claim)


def owner_of(claim: Doc) -> str:
    """The uid of the pod that a claim was made for; empty for those that users made."""
    return next((one["uid"] for one in owners_of(claim)), "")


def owners_of(claim: Doc) -> list[Doc]:
    """The reference to the pod that a claim was made for."""
    owners = claim["metadata"].get("ownerReferences") or ()
    return [one for one in owners if one.get("controller") and one.get("kind") == "Pod"]


def is_done(pod: Doc) -> bool:
    """Whether a pod needs its devices no more: it has ended, or goes without ever having had a node
    (isPodDone of the controller)."""
    if (pod.get("status") or {}).get("phase") in _ENDED:
        return True
    return "deletionTimestamp" in pod["metadata"] and not pod["spec"].get("nodeName")


def status_of(claim: Doc) -> Doc:
    status: Doc = claim.get("status") or {}
    return status


def is_reserved_for(claim: Doc, uid: str) -> bool:
    return any(one["uid"] == uid for one in status_of(claim).get("reservedFor") or ())


def reserved(claim: Doc, pods: Iterable[tuple[str, str]], allocation: Doc | None) -> Doc:
    """The claim with pods (name, uid) among its users; allocation is what is given to it now, if it
    has nothing yet."""
    status = status_of(claim)
    users = list(status.get("reservedFor") or ())
    known = {one["uid"] for one in users}
    users += [
        {"resource": "pods", "name": name, "uid": uid} for name, uid in pods if uid not in known
    ]
    given = {} if allocation is None else {"allocation": allocation}
    return {**claim, "status": {**status, **given, "reservedFor": users}}


def with_users(claim: Doc, users: list[Doc]) -> Doc:
    """The claim with these users. With none it has no devices either: it is allocated anew for who
    comes next, where that one is."""
    status = {key: one for key, one in status_of(claim).items() if key != "reservedFor"}
    if users:
        return {**claim, "status": {**status, "reservedFor": users}}
    return deallocated(claim)


def deallocated(claim: Doc) -> Doc:
    """The claim without devices and users."""
    gone = ("allocation", "devices", "reservedFor")
    kept = {key: one for key, one in status_of(claim).items() if key not in gone}
    return {**claim, "status": kept}


def has_finalizer(claim: Doc) -> bool:
    return FINALIZER in (claim["metadata"].get("finalizers") or ())


def with_finalizer(claim: Doc) -> Doc:
    metadata = claim["metadata"]
    return {
        **claim,
        "metadata": {**metadata, "finalizers": [*(metadata.get("finalizers") or ()), FINALIZER]},
    }


def without_finalizer(claim: Doc) -> Doc:
    metadata = claim["metadata"]
    kept = [one for one in metadata.get("finalizers") or () if one != FINALIZER]
    others = {key: one for key, one in metadata.items() if key != "finalizers"}
    return {**claim, "metadata": {**others, **({"finalizers": kept} if kept else {})}}
