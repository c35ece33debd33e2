"""What changed since parked pods were last thought of, and whom it could help. Pure.

Upstream's plug-ins answer the same with queueing hints (KEP-4247): only a change that could turn an
objection wakes a pod.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from longshore.machinery.scheduler.pods.affinity import Role
from longshore.machinery.scheduler.pods.kin import Query
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.view import devices
from longshore.machinery.scheduler.view.view import ClusterView
from longshore.machinery.scheduler.view.volumes import Stir

# Classes of changed pods that are looked at one by one; more are taken to concern everybody.
CLASSES_MAX = 64


@dataclass(slots=True)
class Changes:
    """rows that may have room, or became other than they were; pods that came to a node or left
    one, by class; storage: claims that may be placeable;
    devices: likewise, of devices; all: anything may have changed."""

    rows: set[int] = field(default_factory=set)
    came: set[PodClass] = field(default_factory=set)
    left: set[PodClass] = field(default_factory=set)
    storage: Stir = field(default_factory=Stir)
    devices: devices.Stir = field(default_factory=devices.Stir)
    all: bool = False

    def __bool__(self) -> bool:
        return bool(self.rows or self.came or self.left or self._claimed or self.all)

    def clear(self) -> None:
        for one in (self.rows, self.came, self.left):
            one.clear()
        self.storage = Stir()
        self.devices = devices.Stir()
        self.all = False

    @property
    def _claimed(self) -> bool:
        return bool(self.storage or self.devices)

    def note(self, pods: set[PodClass], pod_class: PodClass) -> None:
        """A pod came or left."""
        if len(pods) < CLASSES_MAX:
            pods.add(pod_class)
        else:
            self.all = True

    def concern(self, view: ClusterView, pod_class: PodClass) -> bool:
        """Whether pods of a class may now fit on rows other than those that changed themselves."""
        return self.all or self._claims(view, pod_class) or self._company(view, pod_class)

    def touch_claims_of(self, pod_class: PodClass) -> bool:
        """Whether claims of such a pod are other than they were."""
        own = pod_class.devices
        return any(one.key in self.storage.claims for one in pod_class.claims) or (
            own is not None and not self.devices.claims.isdisjoint(own.keys)
        )

    def _claims(self, view: ClusterView, pod_class: PodClass) -> bool:
        anything = pod_class.devices is not None and self.devices.anything
        return anything or view.volumes.concerns(self.storage, pod_class.claims)

    def _company(self, view: ClusterView, pod_class: PodClass) -> bool:
        affinity, spread, kin = pod_class.affinity, pod_class.spread, pod_class.kin
        meant: list[Query | None] = [one.query for one in spread.hard] if spread else []
        near = affinity.near_all if affinity else None
        apart = [one.query for one in affinity.apart] if affinity else []
        return (
            _any(view, self.came, [*meant, near])
            or _any(view, self.left, [*meant, *apart, pod_class.siblings])
            or any(_kept_off(view, one, pod_class) for one in self.left)
            or (near is not None and near.matches(kin, view.tallies.namespaces) and bool(self.left))
        )


def _any(view: ClusterView, pods: set[PodClass], queries: list[Query | None]) -> bool:
    namespaces = view.tallies.namespaces
    asked = [query for query in queries if query is not None]
    return any(query.matches(one.kin, namespaces) for query in asked for one in pods)


def _kept_off(view: ClusterView, one: PodClass, other: PodClass) -> bool:
    """Whether a pod of one class kept those of another away."""
    return one.affinity is not None and any(
        term.role is Role.APART and term.query.matches(other.kin, view.tallies.namespaces)
        for term in one.affinity
    )
