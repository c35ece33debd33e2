"""What becomes of a claim or a volume. Pure.

Rules: syncUnboundClaim, syncBoundClaim, syncVolume and reclaimVolume in
pkg/controller/volume/persistentvolume/pv_controller.go of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from longshore.core.objects import volumes
from longshore.core.objects.kinds import Doc
from longshore.core.objects.volumes import PROVISIONED_BY, SELECTED_NODE
from longshore.machinery.loop.recorder import EventType

_IN_TREE = "kubernetes.io/"
_NOTHING = "no persistent volumes available for this claim and no storage class is set"
_FIRST_CONSUMER = "waiting for first consumer to be created before binding"
_TAKEN = 'volume "{}" already bound to a different claim.'
_LOST = "Bound claim has lost {}. Data on the volume is lost!"
_EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the "
    "system administrator. If volume creation is delayed, please verify that the provisioner is "
    "running and correctly registered."
)


@dataclass(frozen=True, slots=True)
class Said:
    """An Event."""

    type: EventType
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """What a claim is judged by. volume: the one that it names. best: one that it may have.
    storage_class: its own. default_class: the name of what claims without one get. pods: names of
    those that want it and have no node."""

    volume: Doc | None
    best: Doc | None
    storage_class: Doc | None
    default_class: str
    pods: Sequence[str]


@dataclass(frozen=True, slots=True)
class Bind:
    """Give the claim this volume."""

    volume: Doc


@dataclass(frozen=True, slots=True)
class Grade:
    """Give the claim the default class."""

    name: str


@dataclass(frozen=True, slots=True)
class Provision:
    """Ask a provisioner outside for a volume."""

    provisioner: str
    said: Said


@dataclass(frozen=True, slots=True)
class Rest:
    """The claim stays, or becomes, so. looking: it takes what turns up for it."""

    phase: str
    said: Said | None = None
    looking: bool = False


ClaimPlan: TypeAlias = Bind | Grade | Provision | Rest


def of_claim(claim: Doc, facts: ClaimFacts) -> ClaimPlan:
    if volumes.is_complete(claim):
        return _of_bound(claim, facts.volume)
    if claim["spec"].get("volumeName"):
        return _of_named(claim, facts.volume)
    if facts.best is not None:
        return Bind(facts.best)
    if not volumes.has_class(claim) and facts.default_class:
        return Grade(facts.default_class)
    return _of_waiting(claim, facts)


def _of_waiting(claim: Doc, facts: ClaimFacts) -> ClaimPlan:
    """Nothing there fits: who is waited for?"""
    chosen = SELECTED_NODE in volumes.annotations_of(claim)
    if volumes.waits_for_pod(facts.storage_class) and not chosen:
        return Rest("Pending", _waits_for(facts.pods))
    name = volumes.storage_class(claim)
    if not name:
        return Rest("Pending", Said("Normal", "FailedBinding", _NOTHING), looking=True)
    if facts.storage_class is None:
        missing = f'storageclass.storage.k8s.io "{name}" not found'
        return Rest("Pending", Said("Warning", "ProvisioningFailed", missing), looking=True)
    return _asked(facts.storage_class["provisioner"])


def _asked(provisioner: str) -> ClaimPlan:
    if provisioner.startswith(_IN_TREE):
        why = f"no volume plugin matched name: {provisioner}"
        return Rest("Pending", Said("Warning", "ProvisioningFailed", why), looking=True)
    waiting = Said("Normal", "ExternalProvisioning", _EXTERNAL.format(provisioner))
    return Provision(provisioner, waiting)


def _waits_for(pods: Sequence[str]) -> Said:
    if not pods:
        return Said("Normal", "WaitForFirstConsumer", _FIRST_CONSUMER)
    who = f"pods {','.join(pods)}" if len(pods) > 1 else f"pod {pods[0]}"
    return Said("Normal", "WaitForPodScheduled", f"waiting for {who} to be scheduled")


def _of_named(claim: Doc, volume: Doc | None) -> ClaimPlan:
    if volume is None:
        return Rest("Pending")
    found, asked = volumes.volume(volume), volumes.wanted(claim)
    if found.is_of(asked):
        return Bind(volume)
    if found.holder:
        return Rest("Pending", Said("Warning", "FailedBinding", _TAKEN.format(found.name)))
    why = volumes.misfit(found, asked)
    if not why:
        return Bind(volume)
    message = f'Cannot bind to requested volume "{found.name}": {why}'
    return Rest("Pending", Said("Warning", "VolumeMismatch", message))


def _of_bound(claim: Doc, volume: Doc | None) -> ClaimPlan:
    if not claim["spec"].get("volumeName"):
        return _lost("ClaimLost", _LOST.format("reference to PersistentVolume"))
    if volume is None:
        return _lost("ClaimLost", _LOST.format("its PersistentVolume"))
    found = volumes.volume(volume)
    if not found.holder or found.holder_uid == claim["metadata"]["uid"]:
        return Bind(volume)
    why = "Two claims are bound to the same volume, this one is bound incorrectly"
    return _lost("ClaimMisbound", why)


def _lost(reason: str, message: str) -> Rest:
    return Rest("Lost", Said("Warning", reason, message))


# ---- what a claim looks like then


def completed(claim: Doc, volume: Doc) -> Doc:
    """The claim with the volume's name; the very same if it has that already."""
    name, done = volume["metadata"]["name"], claim
    if claim["spec"].get("volumeName") != name:
        spec = {**claim["spec"], "volumeName": name}
        done = volumes.annotated({**claim, "spec": spec}, volumes.BOUND_BY_CONTROLLER, "yes")
    if volumes.is_complete(claim):
        return done
    return volumes.annotated(done, volumes.BIND_COMPLETED, "yes")


def claim_status(claim: Doc, phase: str, volume: Doc | None) -> Doc:
    """The claim in this phase, with what it has been given."""
    before = claim.get("status") or {}
    status = {**before, "phase": phase}
    for field in ("accessModes", "capacity", "currentVolumeAttributesClassName"):
        if volume is None:
            status.pop(field, None)
    if volume is not None:
        spec = volume["spec"]
        status["accessModes"] = spec["accessModes"]
        if before.get("phase") != phase:
            status["capacity"] = spec["capacity"]
            if spec.get("volumeAttributesClassName"):
                status["currentVolumeAttributesClassName"] = spec["volumeAttributesClassName"]
    return claim if status == before else {**claim, "status": status}


def with_provisioner(claim: Doc, name: str) -> Doc:
    """The claim as provisioners outside look for it; the very same if it is so already."""
    has = volumes.annotations_of(claim)
    if all(has.get(one) == name for one in volumes.PROVISIONERS):
        return claim
    for one in volumes.PROVISIONERS:
        claim = volumes.annotated(claim, one, name)
    return claim


# ---- volumes


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """unbind: take the reference to its claim off. wake: the claim should be looked at. about_claim
    is said of the claim."""

    phase: str
    message: str = ""
    unbind: bool = False
    wake: bool = False
    said: Said | None = None
    about_claim: Said | None = None


def of_volume(volume: Doc, claim: Doc | None) -> VolumePlan:
    """claim: what bears the name that the volume refers to, if anything does."""
    found = volumes.volume(volume)
    if not found.holder or not found.holder_uid:
        return VolumePlan("Available", wake=bool(found.holder))
    if claim is None or claim["metadata"]["uid"] != found.holder_uid:
        return _released(volume)
    named = claim["spec"].get("volumeName")
    if named == found.name:
        return VolumePlan("Bound")
    if not named:
        return _waiting_for(claim, volume)
    if PROVISIONED_BY in volumes.annotations_of(volume) and _policy(volume) == "Delete":
        return _released(volume)
    return VolumePlan("Available", unbind=True)


def _waiting_for(claim: Doc, volume: Doc) -> VolumePlan:
    phase = volume["status"]["phase"]
    if volumes.volume(volume).grade[2] == volumes.wanted(claim).grade[2]:
        return VolumePlan(phase, wake=True)
    name, other = (doc["metadata"]["name"] for doc in (volume, claim))
    return VolumePlan(
        phase,
        said=_mismatch(f'PersistentVolume to requested PersistentVolumeClaim "{other}"'),
        about_claim=_mismatch(f'PersistentVolume "{name}" to requested PersistentVolumeClaim'),
    )


def _mismatch(what: str) -> Said:
    return Said("Warning", "VolumeMismatch", f"Cannot bind {what} due to incompatible volumeMode.")


def _released(volume: Doc) -> VolumePlan:
    """Its claim is gone. Who made the volume may delete it; we ourselves delete no data."""
    if volume["status"]["phase"] == "Failed":
        return VolumePlan("Failed", volume["status"].get("message", ""))
    if _policy(volume) == "Recycle":
        return _failed("VolumeFailedRecycle", "No recycler plugin found for the volume!")
    if _policy(volume) == "Retain" or _has_provisioner(volume):
        return VolumePlan("Released")
    name = volume["metadata"]["name"]
    why = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
    return _failed("VolumeFailedDelete", why)


def _failed(reason: str, message: str) -> VolumePlan:
    return VolumePlan("Failed", message, said=Said("Warning", reason, message))


def _policy(volume: Doc) -> str:
    return str(volume["spec"].get("persistentVolumeReclaimPolicy") or "Retain")


def _has_provisioner(volume: Doc) -> bool:
    """Whether somebody outside is to delete it (findDeletablePlugin)."""
    maker = volumes.annotations_of(volume).get(PROVISIONED_BY, "")
    return (bool(maker) and not maker.startswith(_IN_TREE)) or "csi" in volume["spec"]


def unbound(volume: Doc) -> Doc:
    """The volume free again; one that was set aside by hand stays set aside (unbindVolume)."""
    metadata, spec = volume["metadata"], dict(volume["spec"])
    has = dict(volumes.annotations_of(volume))
    if has.pop(volumes.BOUND_BY_CONTROLLER, None) is None:
        spec["claimRef"] = {k: v for k, v in spec["claimRef"].items() if k != "uid"}
    else:
        del spec["claimRef"]
    return {**volume, "metadata": {**metadata, "annotations": has}, "spec": spec}


def volume_status(volume: Doc, phase: str, now: str, message: str = "") -> Doc:
    """The volume in this phase, since now (RFC 3339); the very same if it is in it already."""
    before = volume.get("status") or {}
    if before.get("phase") == phase:
        return volume
    status = {**before, "phase": phase, "lastPhaseTransitionTime": now}
    status.pop("message", None)
    return {**volume, "status": status | ({"message": message} if message else {})}
