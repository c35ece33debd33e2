"""What is to be done for a pod's claims, and for a claim's users. Pure; rules:
pkg/controller/resourceclaim."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from longshore.core.objects import device_claims, kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import owners

# What a generated name begins with: with a hyphen and five letters more it has 63.
_BEGINNING_MAX = 57
Find = Callable[[str], Doc | None]
"""An object of the pod's namespace by its name."""


def made_for(pod: Doc, name: str, candidates: Iterable[Doc]) -> Doc | None:
    """The claim that was made for one of a pod's claims, among those that the pod owns."""
    for claim in candidates:
        told = claim["metadata"].get("annotations") or {}
        if told.get(device_claims.POD_CLAIM) == name and is_own(pod, claim):
            return claim
    return None


def is_own(pod: Doc, claim: Doc) -> bool:
    """Whether a claim was made for the pod."""
    return device_claims.owner_of(claim) == str(pod["metadata"]["uid"])


def claim_for(pod: Doc, name: str, template: Doc) -> Doc:
    """The claim that a template makes for one of a pod's claims."""
    metadata, spec = pod["metadata"], template.get("spec") or {}
    given = spec.get("metadata") or {}
    told = {**(given.get("annotations") or {}), device_claims.POD_CLAIM: name}
    return {
        "metadata": {
            "namespace": metadata["namespace"],
            "generateName": _beginning(metadata["name"], name),
            "ownerReferences": [owners.reference(kinds.POD, pod)],
            "annotations": told,
            **({"labels": given["labels"]} if "labels" in given else {}),
        },
        "spec": spec.get("spec") or {},
    }


def _beginning(pod: str, name: str) -> str:
    """POD-CLAIM-, of which both are cut in proportion where that is too long."""
    whole = f"{pod}-{name}-"
    if len(whole) <= _BEGINNING_MAX:
        return whole
    first, second = (one[: len(one) * _BEGINNING_MAX // len(whole)] for one in (pod, name))
    return f"{first}-{second}"


def with_claims(pod: Doc, made: Mapping[str, str]) -> Doc:
    """The pod whose status tells of claims that were made for it, by the names that it gives them."""
    status = pod.get("status") or {}
    known = {
        one["name"]: one["resourceClaimName"]
        for one in status.get("resourceClaimStatuses") or ()
        if one.get("resourceClaimName")
    }
    told = {**known, **made}
    statuses = [{"name": name, "resourceClaimName": told[name]} for name in sorted(told)]
    return {**pod, "status": {**status, "resourceClaimStatuses": statuses}}


def to_reserve(pod: Doc, find: Find) -> list[Doc]:
    """Of a pod that has a node: allocated claims that it is not a user of yet, as they are to be. The
    scheduler does that for those to whom it gives one."""
    metadata = pod["metadata"]
    found = []
    for one in device_claims.claims_of(pod) if pod["spec"].get("nodeName") else ():
        claim = find(one.claim) if one.claim else None
        if claim is None or (one.template and not is_own(pod, claim)):
            continue
        if _can_join(claim, metadata["uid"]):
            found.append(device_claims.reserved(claim, [(metadata["name"], metadata["uid"])], None))
    return found


def _can_join(claim: Doc, uid: str) -> bool:
    status = device_claims.status_of(claim)
    users = status.get("reservedFor") or ()
    room = len(users) < device_claims.RESERVED_MAX and not owners.is_deleting(claim)
    return room and "allocation" in status and not device_claims.is_reserved_for(claim, uid)


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of a claim. status: it as it is to be, with fewer users. released: whether our
    finalizer comes off, after that. unneeded: whether it goes, since its pod does not need it."""

    status: Doc | None
    released: bool
    unneeded: bool


def settled(claim: Doc, find: Find) -> Settled:
    """Users that are gone or over leave; with the last of them devices are given back. find: pods."""
    status = device_claims.status_of(claim)
    users = status.get("reservedFor") or []
    left = [one for one in users if not _is_over(one, find)]
    ours, going = device_claims.has_finalizer(claim), owners.is_deleting(claim)
    changed = None
    if len(left) < len(users):
        changed = device_claims.with_users(claim, left) if ours or left else _unused(claim)
    elif ours and going and not left and "allocation" in status:
        changed = device_claims.deallocated(claim)
    free = not left and (changed is not None or going)
    return Settled(changed, ours and free, not (left or going) and _is_unneeded(claim, find))


def _unused(claim: Doc) -> Doc:
    """Without our finalizer somebody else has allocated it, who has to take that back."""
    status = {
        key: one for key, one in device_claims.status_of(claim).items() if key != "reservedFor"
    }
    return {**claim, "status": status}


def _is_over(user: Doc, find: Find) -> bool:
    """Users of other kinds are left alone."""
    if user.get("apiGroup") or user["resource"] != "pods":
        return False
    pod = find(user["name"])
    return pod is None or pod["metadata"]["uid"] != user["uid"] or device_claims.is_done(pod)


def _is_unneeded(claim: Doc, find: Find) -> bool:
    """Made for a pod that is there and over, or replaced; if it is gone, so will its claims be."""
    for owner in device_claims.owners_of(claim):
        pod = find(owner["name"])
        if pod is not None:
            return pod["metadata"]["uid"] != owner["uid"] or device_claims.is_done(pod)
    return False
