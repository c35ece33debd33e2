"""Pods that have a node but not their volumes and devices yet: what is written for them, and when they
may go on. Pure.

A volume belongs to a claim once it refers to it, so that is written before the pod is bound; the
controllers of volumes do the rest, and the pod keeps its room meanwhile. Source: BindPodVolumes and
checkBindings in pkg/scheduler/framework/plugins/volumebinding/binder.go. Devices are the claim's as
soon as that is written, so nothing is waited for (bindClaim in plugins/dynamicresources).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from longshore.core.objects import device_claims, kinds, volumes
from longshore.core.objects.errors import ApiError, Conflict
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Operation, Patch, Update
from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.rules import dynamic_resources
from longshore.machinery.scheduler.rules.dynamic_resources import DeviceWork
from longshore.machinery.scheduler.rules.volume_binding import NOTHING, VolumeWork
from longshore.machinery.scheduler.view.devices import DeviceView
from longshore.machinery.scheduler.view.view import ClusterView
from longshore.machinery.scheduler.view.volumes import Claim, VolumeView

# How long volumes may take (VolumeBindingArgs.bindTimeoutSeconds).
PATIENCE_S = 600.0
Get = Callable[[Kind, str, str], Doc | None]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A pod with its node and what is to be done for its claims: of volumes, and of devices."""

    pod: Pending
    node: str
    work: VolumeWork = NOTHING
    devices: DeviceWork | None = None


class Prebindings:
    """Pods by uid, and the claims that they wait for."""

    def __init__(self) -> None:
        self._pods: dict[str, Prepared] = {}
        self._by_claim: dict[str, set[str]] = {}
        # Claims that were heard of with the node that we chose.
        self._heard: set[str] = set()
        self._bound: list[Prepared] = []
        self._failed: list[Prepared] = []

    def add(self, one: Prepared) -> None:
        self._pods[one.pod.uid] = one
        for key in one.work.waits:
            self._by_claim.setdefault(key, set()).add(one.pod.uid)

    def pop(self, uid: str) -> Prepared | None:
        one = self._pods.pop(uid, None)
        for key in one.work.waits if one is not None else ():
            waiting = self._by_claim[key]
            waiting.discard(uid)
            if not waiting:
                del self._by_claim[key]
                self._heard.discard(key)
        return one

    @property
    def has_settled(self) -> bool:
        return bool(self._bound or self._failed)

    def note(self, known: VolumeView, changed: Iterable[str]) -> None:
        """Claims changed: pods whose claims are all bound wait no more, nor those that wait in vain."""
        uids = {uid for key in changed for uid in self._by_claim.get(key, ())}
        for one in [self._pods[uid] for uid in sorted(uids)]:
            claims = [known.claims.get(key) for key in one.work.waits]
            if all(claim is not None and claim.bound for claim in claims):
                self._bound.append(one)
            elif any(self._in_vain(claim, one) for claim in claims):
                self._failed.append(one)

    def give_up(self, uid: str) -> None:
        """It has waited long enough, if it still does."""
        if uid in self._pods:
            self._failed.append(self._pods[uid])

    def settled(self) -> tuple[list[Prepared], list[Prepared]]:
        """The pods that can be bound, and those that waited in vain; said once."""
        bound, failed = self._bound, self._failed
        self._bound, self._failed = [], []
        ended = [[one for one in some if self._ends(one)] for some in (bound, failed)]
        return ended[0], ended[1]

    def _ends(self, one: Prepared) -> bool:
        """Whether it has still waited, which it does no more."""
        return self._pods.get(one.pod.uid) is one and self.pop(one.pod.uid) is not None

    def _in_vain(self, claim: Claim | None, one: Prepared) -> bool:
        """The claim is gone, lost or on its way out, or its provisioner gave the node back."""
        if claim is None or claim.lost or claim.leaving:
            return True
        key = claim.wanted.key
        if claim.bound or key not in one.work.make:
            return False
        if claim.node == one.node:
            self._heard.add(key)
            return False
        return bool(claim.node) or key in self._heard


def writes(one: Prepared, get: Get) -> Iterator[Operation]:
    """What gives a pod its volumes. get reads the newest state; what is gone is left out, so that
    the pod waits in vain for it."""
    for name, key in one.work.give:
        volume, claim = get(kinds.PV, "", name), get(kinds.PVC, *key.split("/"))
        if volume is not None and claim is not None:
            tied = volumes.tied(volume, claim)
            if tied is not volume:
                yield Update(kinds.PV, tied)
    for key in one.work.make:
        claim = get(kinds.PVC, *key.split("/"))
        if claim is not None and _node_of(claim) != one.node:
            yield _chosen(claim, one.node)


def _node_of(claim: Doc) -> str:
    return str(volumes.annotations_of(claim).get(volumes.SELECTED_NODE, ""))


def _chosen(claim: Doc, node: str) -> Patch:
    """Tell the provisioner for which node to make the claim's volume; Conflict if the claim has
    changed meanwhile."""
    metadata = claim["metadata"]
    patch = {
        "annotations": {volumes.SELECTED_NODE: node},
        "resourceVersion": metadata["resourceVersion"],
    }
    return Patch(kinds.PVC, metadata["namespace"], metadata["name"], {"metadata": patch})


@dataclass(slots=True)
class Reservation:
    """What is written to one claim of devices: the allocation that it is given, if it has none yet, and
    the pods that use it from now on."""

    key: str
    allocation: Doc | None = None
    users: list[Prepared] = field(default_factory=list)

    def finalized(self, get: Get) -> Update | None:
        """What keeps the claim from now on, so that nobody's devices are lost with it."""
        claim = get(kinds.RESOURCE_CLAIM, *self.key.split("/"))
        if self.allocation is None or claim is None or device_claims.has_finalizer(claim):
            return None
        return Update(kinds.RESOURCE_CLAIM, device_claims.with_finalizer(claim))

    def write(self, claim: Doc | None) -> Update | ApiError:
        """claim: as it is now, on which the write rests; somebody else may have been faster."""
        given = claim is not None and device_claims.status_of(claim).get("allocation") is not None
        if claim is None or given is not (self.allocation is None):
            state = "allocated" if given else "deallocated"
            return Conflict(f"claim {self.key} got {state} elsewhere in the meantime")
        users = [(one.pod.name, one.pod.uid) for one in self.users]
        made = device_claims.reserved(claim, users, self.allocation)
        return Update(kinds.RESOURCE_CLAIM, made, "status")


def reservations(prepared: Iterable[Prepared]) -> list[Reservation]:
    """What is to be written for the devices of some pods, a claim each."""
    found: dict[str, Reservation] = {}
    for one in prepared:
        work = one.devices
        if work is None:
            continue
        for key in work.use:
            made = found.setdefault(key, Reservation(key))
            made.allocation = work.give.get(key, made.allocation)
            made.users.append(one)
    return list(found.values())


def unused(known: DeviceView, pods: Iterable[Pending]) -> Iterator[tuple[str, str]]:
    """Of pods that cannot be where their devices are, one claim (namespace/name) each that is to be
    allocated anew, with the pod's uid: nobody else uses it (PostFilter of plugins/dynamicresources)."""
    for pod in pods:
        own = pod.pod_class.devices
        if own is None or dynamic_resources.hindrance(known, own):
            continue
        if key := dynamic_resources.to_deallocate(known, own):
            yield key, pod.uid


def heard_anew(one: Prepared, view: ClusterView, get: Get) -> None:
    """Take back what was assumed for a pod: its volumes, devices and claims are what they are."""
    known = view.volumes
    for key in one.devices.give if one.devices is not None else ():
        view.devices.unassume(key)
    for name, _ in one.work.give:
        doc = get(kinds.PV, "", name)
        known.hear(kinds.PV, doc or {"metadata": {"name": name}}, gone=doc is None)
    for key in one.work.make:
        doc = get(kinds.PVC, *key.split("/"))
        if doc is not None:
            known.hear(kinds.PVC, doc, gone=False)
