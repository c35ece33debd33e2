"""Claims, volumes and storage classes as placement sees them, kept by their events. A cluster whose
pods have no claims pays nothing.

Rules: pkg/scheduler/framework/plugins/volumebinding/binder.go of Kubernetes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from longshore.base import quantities
from longshore.core.objects import kinds, selectors, volumes
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.selectors import Requirement, Selector
from longshore.core.objects.volumes import NO_PROVISIONER, Catalogue, Volume, Wanted
from longshore.machinery.scheduler.pods.demand import Term, term_of
from longshore.machinery.scheduler.pods.volumes import Claimed
from longshore.machinery.scheduler.view.attachments import Attachments
from longshore.machinery.scheduler.view.columns import Amounts, Mask, Rows
from longshore.machinery.scheduler.view.nodes import Nodes

HEARD: tuple[Kind, ...] = (
    kinds.STORAGE_CLASS, kinds.CSI_DRIVER, kinds.CSI_NODE, kinds.CSI_STORAGE_CAPACITY, kinds.PV, kinds.PVC,
)  # fmt: skip
# Labels of a volume that say where it can be used (volumezone topologyLabels), by today's name.
_ZONES = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region": "topology.kubernetes.io/region",
}
_BETWEEN_ZONES = "__"


@dataclass(frozen=True, slots=True)
class Claim:
    """node: where its volume is being made. owner: the uid of its controller. alone: one pod at a
    time may use it (ReadWriteOncePod)."""

    wanted: Wanted
    volume: str
    bound: bool
    lost: bool
    leaving: bool
    node: str
    owner: str
    alone: bool


@dataclass(frozen=True, slots=True)
class StorageClass:
    """waits: claims are bound when a pod is placed. places: where volumes may be made (empty:
    anywhere)."""

    provisioner: str
    waits: bool
    places: tuple[Term, ...]

    @property
    def provisions(self) -> bool:
        return self.provisioner not in ("", NO_PROVISIONER)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a volume can be used: one of terms holds (empty: anywhere). zones: (key, values), all
    of which a node must have that has any zone. driver: its CSI driver."""

    terms: tuple[Term, ...]
    zones: tuple[tuple[str, frozenset[str]], ...]
    driver: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """What can still be made of a class on nodes that nodes selects (None: on none): room in all,
    most in one volume, in bytes."""

    storage_class: str
    most: int
    room: int
    nodes: Selector | None


@dataclass(frozen=True, slots=True)
class Reach:
    """Rows that a volume can be used on. members is None if that is all."""

    rows: Rows | slice
    members: frozenset[int] | None

    def __contains__(self, row: int) -> bool:
        return self.members is None or row in self.members


EVERYWHERE = Reach(slice(None), None)


@dataclass(slots=True)
class Stir:
    """What changed that pods may wait for: claims by key, classes by name, or anything."""

    claims: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    anything: bool = False

    def __bool__(self) -> bool:
        return bool(self.claims or self.classes or self.anything)


class VolumeView:
    """nodes: whose labels decide where a volume can be used. version counts changes."""

    def __init__(self, nodes: Nodes) -> None:
        self.version = 0
        self._nodes = nodes
        self.claims: dict[str, Claim] = {}
        self.classes: dict[str, StorageClass] = {}
        self.catalogue = Catalogue()
        self.places: dict[str, Place] = {}
        self.users: dict[str, Counter[int]] = {}
        self._capacities: dict[tuple[str, str], Capacity] = {}
        self._counting_drivers: set[str] = set()
        self.attachments = Attachments(nodes)
        self._reaches: dict[tuple[Term, ...], Reach] = {}
        self._reach_of: dict[str, Reach] = {}
        self._reach_shape = -1
        self._stir = Stir()
        # The last answer that a rule worked out, and to which question: filter, score and binding
        # of a pod ask the same.
        self.remembered: tuple[object, Any] = (None, None)

    # --- what is heard ---

    def hear(self, kind: Kind, doc: Doc, *, gone: bool) -> None:
        """Take one change in of a kind that is HEARD."""
        self.version += 1
        if kind is kinds.PVC:
            self._hear_claim(doc, gone)
        elif kind is kinds.PV:
            self._hear_volume(doc, gone)
        else:
            self._hear_class(kind, doc, gone)

    def stirred(self) -> Stir:
        """What pods that wait may have waited for, since this was asked last."""
        stir, self._stir = self._stir, Stir()
        return stir

    def concerns(self, stir: Stir, claims: Sequence[Claimed]) -> bool:
        """Whether a pod with these claims may have waited for what changed."""
        if not claims:
            return False
        known = (self.claims.get(one.key) for one in claims)
        return (
            stir.anything
            or any(one.key in stir.claims for one in claims)
            or any(one is not None and one.wanted.grade[0] in stir.classes for one in known)
        )

    def _hear_claim(self, doc: Doc, gone: bool) -> None:
        key = volumes.key_of(doc)
        self._stir.claims.add(key)
        if gone:
            self.claims.pop(key, None)
        else:
            self.claims[key] = _claim(doc)
        self._reattach(key)

    def _hear_volume(self, doc: Doc, gone: bool) -> None:
        name = doc["metadata"]["name"]
        self._reach_of.pop(name, None)
        if gone:
            self.catalogue.drop(name)
            self.places.pop(name, None)
            return
        self.places[name] = _place(doc)
        one = volumes.volume(doc)
        self._put_volume(one)
        self._reattach(one.holder)

    def _put_volume(self, one: Volume) -> None:
        self.catalogue.put(one)
        if one.holder:
            self._stir.claims.add(one.holder)
        else:
            self._stir.classes.add(one.grade[0])

    def assume(self, asked: Wanted, volume: str) -> None:
        """Take it that a claim has this volume: it is being written."""
        self.version += 1
        one = self.catalogue.get(volume)
        assert one is not None, volume
        self.catalogue.put(replace(one, holder=asked.key, holder_uid=asked.uid))

    def assume_made(self, asked: Wanted, node: str) -> None:
        """Take it that a claim's volume is being made for a node."""
        self.version += 1
        self.claims[asked.key] = replace(self.claims[asked.key], node=node)

    def _hear_class(self, kind: Kind, doc: Doc, gone: bool) -> None:
        metadata = doc["metadata"]
        name = metadata["name"]
        if kind is kinds.STORAGE_CLASS:
            self._stir.classes.add(name)
            self.classes.pop(name, None)
            if not gone:
                self.classes[name] = _storage_class(doc)
        elif kind is kinds.CSI_STORAGE_CAPACITY:
            self._stir.classes.add(doc["storageClassName"])
            self._capacities.pop((metadata["namespace"], name), None)
            if not gone:
                self._capacities[metadata["namespace"], name] = _capacity(doc)
        else:
            self._stir.anything = True
            self._hear_driver(kind, name, {} if gone else doc.get("spec") or {})

    def _hear_driver(self, kind: Kind, name: str, spec: Doc) -> None:
        if kind is kinds.CSI_NODE:
            self.attachments.put_node(name, spec.get("drivers") or ())
            return
        for names, flag in (
            (self._counting_drivers, "storageCapacity"),
            (self.attachments.needed, "preventPodSchedulingIfMissing"),
        ):
            (names.add if spec.get(flag) else names.discard)(name)

    def use(self, row: int, claims: Iterable[Claimed], count: int) -> None:
        """Note pods of a row that use claims; a negative count takes them off."""
        for one in claims:
            users = self.users.setdefault(one.key, Counter())
            users[row] += count
            if not users[row]:
                del users[row]
                self.attachments.detach(row, one.key)
            else:
                self.attachments.attach(row, one.key, self.driver_of(one.key))
            if not users:
                del self.users[one.key]

    def _reattach(self, key: str) -> None:
        for row in self.users.get(key, ()):
            self.attachments.attach(row, key, self.driver_of(key))

    def driver_of(self, key: str) -> str:
        """The CSI driver of a claim's volume, or of the one that will be made; "" if none."""
        claim = self.claims.get(key)
        if claim is None:
            return ""
        place = self.places.get(claim.volume)
        if place is not None:
            return place.driver
        klass = self.classes.get(claim.wanted.grade[0])
        return klass.provisioner if klass is not None and klass.provisions else ""

    # --- what is asked ---

    def reach(self, name: str) -> Reach:
        """The rows on which a volume can be used, by its node affinity."""
        if self._reach_shape != self._nodes.shape:
            self._reach_shape = self._nodes.shape
            self._reaches.clear()
            self._reach_of.clear()
        found = self._reach_of.get(name)
        if found is None:
            found = self._reach_of[name] = self._reach_by(self.places[name].terms)
        return found

    def _reach_by(self, terms: tuple[Term, ...]) -> Reach:
        """One for all volumes with the same affinity."""
        if not terms:
            return EVERYWHERE
        found = self._reaches.get(terms)
        if found is None:
            rows = np.flatnonzero(self._any_of(terms))
            found = self._reaches[terms] = Reach(rows, frozenset(rows.tolist()))
        return found

    def reached(self, name: str) -> Mask:
        """The same as a mask."""
        mask = np.zeros(self._nodes.size, np.bool_)
        mask[self.reach(name).rows] = True
        return mask

    def makeable(self, claim: Claim) -> Mask:
        """The rows for which a provisioner may make the claim's volume, room aside."""
        klass = self.classes.get(claim.wanted.grade[0])
        if klass is None or not klass.provisions:
            return np.zeros(self._nodes.size, np.bool_)
        return self._any_of(klass.places) if klass.places else np.ones(self._nodes.size, np.bool_)

    def space(self, claim: Claim) -> tuple[Mask, Amounts] | None:
        """The rows where its driver says that there is room for it, and how much there is in all;
        None if the driver says nothing."""
        name = claim.wanted.grade[0]
        if self.classes[name].provisioner not in self._counting_drivers:
            return None
        fits, room = np.zeros(self._nodes.size, np.bool_), np.zeros(self._nodes.size, np.int64)
        for one in self._capacities.values():
            if one.storage_class == name and one.most >= claim.wanted.size and one.nodes:
                there = self._nodes.matching(one.nodes.requirements)
                fits |= there
                room[there] = np.maximum(room[there], one.room)
        return fits, room

    def outside_zones(self, name: str) -> Mask | None:
        """The rows that have a zone or region, but not this volume's; None if it has none."""
        place = self.places.get(name)
        if place is None or not place.zones:
            return None
        zoned = self._any_of([(Requirement(key, "exists"),) for key in _ZONES])
        inside = self._nodes.alive.copy()
        for key, values in place.zones:
            inside &= self._in_zone(key, tuple(sorted(values)))
        return zoned & ~inside

    def _in_zone(self, key: str, values: tuple[str, ...]) -> Mask:
        own = self._nodes.matching((Requirement(key, "in", values),))
        if _ZONES[key] == key:
            return own
        today = (Requirement(key, "!"), Requirement(_ZONES[key], "in", values))
        return own | self._nodes.matching(today)

    def _any_of(self, terms: Iterable[Term]) -> Mask:
        mask = np.zeros(self._nodes.size, np.bool_)
        for term in terms:
            mask |= self._nodes.matching(term)
        return mask


def _claim(doc: Doc) -> Claim:
    metadata, spec = doc["metadata"], doc["spec"]
    owners = metadata.get("ownerReferences") or ()
    return Claim(
        wanted=volumes.wanted(doc),
        volume=spec.get("volumeName") or "",
        bound=volumes.is_bound(doc),
        lost=(doc.get("status") or {}).get("phase") == "Lost",
        leaving="deletionTimestamp" in metadata,
        node=volumes.annotations_of(doc).get(volumes.SELECTED_NODE, ""),
        owner=next((one["uid"] for one in owners if one.get("controller")), ""),
        alone="ReadWriteOncePod" in (spec.get("accessModes") or ()),
    )


def _storage_class(doc: Doc) -> StorageClass:
    places = [
        tuple(
            Requirement(one["key"], "in", tuple(one["values"]))
            for one in term.get("matchLabelExpressions") or ()
        )
        for term in doc.get("allowedTopologies") or ()
    ]
    return StorageClass(doc["provisioner"], volumes.waits_for_pod(doc), tuple(places))


def _capacity(doc: Doc) -> Capacity:
    room = quantities.whole(doc["capacity"]) if "capacity" in doc else -1
    most = quantities.whole(doc["maximumVolumeSize"]) if "maximumVolumeSize" in doc else room
    nodes = selectors.from_doc(doc.get("nodeTopology"))
    return Capacity(doc["storageClassName"], most, room, nodes)


def _place(doc: Doc) -> Place:
    spec, labels = doc["spec"], doc["metadata"].get("labels") or {}
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    zones = tuple(
        (key, frozenset(labels[key].split(_BETWEEN_ZONES))) for key in _ZONES if key in labels
    )
    terms = tuple(term_of(one) for one in required.get("nodeSelectorTerms") or ())
    return Place(terms, zones, (spec.get("csi") or {}).get("driver", ""))
