"""What PersistentVolumes offer and what claims ask for: which fits, and how a pair is tied. Pure.

Rules: component-helpers/storage/volume/pv_helpers.go and pkg/controller/volume/persistentvolume
(index.go, pv_controller.go) of Kubernetes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TypeAlias

from longshore.base import quantities
from longshore.core.objects import selectors
from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import EVERYTHING, Selector

BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONERS = (
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
)
_CLASS_OF_OLD = "volume.beta.kubernetes.io/storage-class"
# What a StorageClass is called that provisions nothing (local volumes).
NO_PROVISIONER = "kubernetes.io/no-provisioner"

# Fields of a volume's spec that are not where it is kept.
NOT_SOURCES = frozenset((
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity",
    "persistentVolumeReclaimPolicy", "storageClassName", "volumeAttributesClassName", "volumeMode",
))  # fmt: skip

Grade: TypeAlias = tuple[str, str, str]
"""What must be equal in a volume and its claim: storage class, attributes class, volume mode."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a claim asks for. key: namespace/name; size in bytes."""

    key: str
    uid: str
    size: int
    grade: Grade
    modes: frozenset[str]
    selector: Selector


@dataclass(frozen=True, slots=True)
class Volume:
    """What a volume is. holder: namespace/name of the claim it is for ("" if for any), holder_uid
    that claim's ("" where somebody wrote the name alone)."""

    name: str
    size: int
    grade: Grade
    modes: frozenset[str]
    labels: Mapping[str, str]
    holder: str
    holder_uid: str
    available: bool
    leaving: bool

    @property
    def free(self) -> bool:
        return self.available and not self.leaving and not self.holder

    def is_of(self, wanted: Wanted) -> bool:
        """Whether it is bound to the claim, or set aside for it (IsVolumeBoundToClaim)."""
        return self.holder == wanted.key and self.holder_uid in ("", wanted.uid)

    def fits(self, wanted: Wanted) -> bool:
        """Whether any claim like this may have it, places aside (FindMatchingVolume)."""
        return (
            self.size >= wanted.size
            and self.grade == wanted.grade
            and self.modes >= wanted.modes
            and wanted.selector.matches(self.labels)
        )


def annotations_of(doc: Doc) -> Doc:
    found: Doc = doc["metadata"].get("annotations") or {}
    return found


def storage_class(doc: Doc) -> str:
    """The class of a claim or a volume; "" is the class of none."""
    return str(annotations_of(doc).get(_CLASS_OF_OLD) or doc["spec"].get("storageClassName") or "")


def has_class(claim: Doc) -> bool:
    """Whether a claim says anything of its class, "" included."""
    return (
        _CLASS_OF_OLD in annotations_of(claim) or claim["spec"].get("storageClassName") is not None
    )


def claim_name(pod: Doc, volume: Doc) -> str:
    """The claim that a pod's volume is; that of an ephemeral one bears both names. "" if none."""
    if "persistentVolumeClaim" in volume:
        return str(volume["persistentVolumeClaim"].get("claimName", ""))
    return f"{pod['metadata']['name']}-{volume['name']}" if "ephemeral" in volume else ""


def key_of(claim: Doc) -> str:
    return f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"


def is_complete(claim: Doc) -> bool:
    """Whether a claim's binding is over: whatever it lacks now, it has lost."""
    return BIND_COMPLETED in annotations_of(claim)


def is_bound(claim: Doc) -> bool:
    return bool(claim["spec"].get("volumeName")) and is_complete(claim)


def waits_for_pod(klass: Doc | None) -> bool:
    """Whether claims of a StorageClass are bound when a pod is placed, not before."""
    return klass is not None and klass.get("volumeBindingMode") == "WaitForFirstConsumer"


def wanted(claim: Doc) -> Wanted:
    spec = claim["spec"]
    requests = (spec.get("resources") or {}).get("requests") or {}
    return Wanted(
        key=key_of(claim),
        uid=claim["metadata"].get("uid", ""),
        size=quantities.whole(requests.get("storage", 0)),
        grade=_grade(claim),
        modes=frozenset(spec.get("accessModes") or ()),
        selector=selectors.from_doc(spec.get("selector")) or EVERYTHING,
    )


def volume(doc: Doc) -> Volume:
    spec, metadata = doc["spec"], doc["metadata"]
    claim = spec.get("claimRef")
    return Volume(
        name=metadata["name"],
        size=quantities.whole((spec.get("capacity") or {}).get("storage", 0)),
        grade=_grade(doc),
        modes=frozenset(spec.get("accessModes") or ()),
        labels=metadata.get("labels") or {},
        holder=f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        holder_uid=(claim or {}).get("uid") or "",
        available=(doc.get("status") or {}).get("phase") == "Available",
        leaving="deletionTimestamp" in metadata,
    )


def _grade(doc: Doc) -> Grade:
    spec = doc["spec"]
    mode = spec.get("volumeMode") or "Filesystem"
    return storage_class(doc), spec.get("volumeAttributesClassName") or "", mode


def misfit(offered: Volume, asked: Wanted) -> str:
    """Why a claim cannot have the volume that it names; "" if it can (checkVolumeSatisfyClaim)."""
    if offered.leaving:
        return f'the volume is marked for deletion "{offered.name}"'
    if offered.size < asked.size:
        return "requested PV is too small"
    whys = ("storageClassName does not match", "volumeAttributesClassName does not match",
            "incompatible volumeMode")  # fmt: skip
    for has, wants, why in zip(offered.grade, asked.grade, whys, strict=True):
        if has != wants:
            return why
    return "" if offered.modes >= asked.modes else "incompatible accessMode"


def is_of(doc: Doc, claim: Doc) -> bool:
    """Whether a volume is bound to the claim, by the volume's own word."""
    return volume(doc).holder_uid == str(claim["metadata"]["uid"])


def tied(doc: Doc, claim: Doc) -> Doc:
    """The volume with a reference to the claim, which is what gives it away; the very same
    document if it has that already (GetBindVolumeToClaim)."""
    found, metadata = volume(doc), claim["metadata"]
    if found.is_of(wanted(claim)) and found.holder_uid == metadata["uid"]:
        return doc
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        **{field: metadata[field] for field in ("namespace", "name", "uid", "resourceVersion")},
    }
    marked = doc if found.is_of(wanted(claim)) else annotated(doc, BOUND_BY_CONTROLLER, "yes")
    return {**marked, "spec": {**doc["spec"], "claimRef": reference}}


def annotated(doc: Doc, name: str, value: str) -> Doc:
    """The object with one more annotation."""
    metadata = doc["metadata"]
    return {**doc, "metadata": {**metadata, "annotations": {**annotations_of(doc), name: value}}}


class Catalogue:
    """Volumes that can be had: those that are free, in the order in which claims prefer them
    (fewest access modes, then smallest), and those set aside for one claim."""

    def __init__(self) -> None:
        self._known: dict[str, Volume] = {}
        self._free: dict[Grade, dict[frozenset[str], list[tuple[int, str]]]] = {}
        self._held: dict[str, set[str]] = {}

    def get(self, name: str) -> Volume | None:
        return self._known.get(name)

    def put(self, one: Volume) -> None:
        self.drop(one.name)
        self._known[one.name] = one
        if one.holder:
            self._held.setdefault(one.holder, set()).add(one.name)
        elif one.free:
            by_modes = self._free.setdefault(one.grade, {})
            insort(by_modes.setdefault(one.modes, []), (one.size, one.name))

    def drop(self, name: str) -> None:
        one = self._known.pop(name, None)
        if one is None:
            return
        if one.holder:
            held = self._held[one.holder]
            held.discard(name)
            if not held:
                del self._held[one.holder]
        elif one.free:
            self._take_off(one)

    def _take_off(self, one: Volume) -> None:
        by_modes = self._free[one.grade]
        offers = by_modes[one.modes]
        del offers[bisect_left(offers, (one.size, one.name))]
        if not offers:
            del by_modes[one.modes]
        if not by_modes:
            del self._free[one.grade]

    def names_held(self, key: str) -> Set[str]:
        """The volumes that refer to a claim (namespace/name), whichever of that name."""
        return self._held.get(key, frozenset())

    def held_for(self, asked: Wanted) -> Volume | None:
        """The volume that is bound to the claim or set aside for it, if it is big enough."""
        for name in sorted(self.names_held(asked.key)):
            one = self._known[name]
            right = one.size >= asked.size and one.grade[1:] == asked.grade[1:]
            if one.is_of(asked) and right and not one.leaving:
                return one
        return None

    def fitting(self, asked: Wanted) -> Iterator[Volume]:
        """Free volumes that fit, the most fitting first."""
        by_modes, anything = self._free.get(asked.grade, {}), asked.selector.everything
        enough = (modes for modes in by_modes if modes >= asked.modes)
        for modes in sorted(enough, key=lambda modes: (len(modes), sorted(modes))):
            offers = by_modes[modes]
            for at in range(bisect_left(offers, (asked.size, "")), len(offers)):
                one = self._known[offers[at][1]]
                if anything or asked.selector.matches(one.labels):
                    yield one
