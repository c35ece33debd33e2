"""Which claims a pod needs to have prepared, by whom, and what its containers get of them. Pure.

Rules and words: pkg/kubelet/cm/dra/manager.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from longshore.core.objects import device_claims
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.devices.peers import ClaimName, PreparedDevice


class NotReady(Exception):
    """A pod's claims cannot be prepared now; the message says why."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A claim that drivers have been asked to prepare. pods are the uids of those on this node that use
    it; done: all drivers have answered, and devices are theirs."""

    name: ClaimName
    drivers: tuple[str, ...]
    pods: tuple[str, ...] = ()
    done: bool = False
    devices: tuple[PreparedDevice, ...] = ()

    def used_by(self, uid: str) -> Prepared:
        return replace(self, pods=tuple(dict.fromkeys((*self.pods, uid))))

    def left_by(self, uid: str) -> Prepared:
        return replace(self, pods=tuple(one for one in self.pods if one != uid))


def begun(pod: Doc, claim: Doc) -> Prepared:
    """A claim of the pod that is to be prepared. Raises NotReady where it is not the pod's to use."""
    metadata, uid = claim["metadata"], pod["metadata"]["uid"]
    name = ClaimName(metadata["namespace"], metadata["name"], metadata["uid"])
    owner = device_claims.owner_of(claim)
    if owner not in ("", uid):
        raise NotReady(f"ResourceClaim {name.name}: owned by another pod")
    if not device_claims.is_reserved_for(claim, uid):
        raise NotReady(f"pod {pod['metadata']['name']}({uid}) is not allowed to use "
                       f"resource claim {name.name}({name.uid})")  # fmt: skip
    allocation = device_claims.status_of(claim).get("allocation")
    if allocation is None:
        raise NotReady(f"claim {name.name} is not allocated")
    results = (allocation.get("devices") or {}).get("results") or ()
    return Prepared(name, tuple(dict.fromkeys(one["driver"] for one in results)), (uid,))


def claims_needed(pod: Doc) -> Iterator[str]:
    """The names of the pod's claims. Raises NotReady for one that is not made yet."""
    for one in device_claims.claims_of(pod):
        if one.claim == "":
            raise NotReady(f"ResourceClaim not created yet for pod claim {one.name}")
        if one.claim is not None:
            yield one.claim


def by_driver(claims: Iterable[Prepared]) -> dict[str, list[ClaimName]]:
    """What each driver is to be asked about."""
    batches: dict[str, list[ClaimName]] = {}
    for claim in claims:
        for driver in claim.drivers:
            batches.setdefault(driver, []).append(claim.name)
    return batches


def devices_of(pod: Doc, container: Doc, prepared: Mapping[str, Prepared]) -> Iterator[
    tuple[ClaimName, PreparedDevice]
]:  # fmt: skip
    """The devices of a container; prepared are the pod's claims by name. Where it names a request, only
    that one's."""
    names = {one.name: one.claim for one in device_claims.claims_of(pod)}
    for wish in (container.get("resources") or {}).get("claims") or ():
        claim = prepared.get(names.get(wish["name"]) or "")
        for device in claim.devices if claim else ():
            if claim and _is_of(device, wish.get("request") or ""):
                yield claim.name, device


def _is_of(device: PreparedDevice, request: str) -> bool:
    """A request with alternatives is known to its driver as REQUEST/ALTERNATIVE (KEP-4816)."""
    if not request or not device.requests:
        return True
    return request in {part for one in device.requests for part in (one, one.partition("/")[0])}
