"""VolumeBinding: bound claims are where their volumes can be used; unbound ones find a volume, or a
place where one can be made (pkg/scheduler/framework/plugins/volumebinding)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pods.volumes import Claimed
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.rules.volume_options import (
    NONE,
    Options,
    emptiness,
    options,
    waiting,
)
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView
from longshore.machinery.scheduler.view.volumes import VolumeView

_IMMEDIATE = "pod has unbound immediate PersistentVolumeClaims"
_NO_VOLUME = "node(s) didn't find available persistent volumes to bind"
_ELSEWHERE = "node(s) didn't match PersistentVolume's node affinity"
_NO_SPACE = "node(s) did not have enough free storage"
_GONE = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    if not pod_class.claims:
        return
    why = hindrance(view.volumes, pod_class.claims)
    if why:
        yield Objection(view.alive, why, resolvable=False, whole=True)
        return
    yield from _of_bound(view, pod_class.claims)
    found = _options(view, pod_class)
    if found is not None:
        yield Objection(found.no_volume, _NO_VOLUME, resolvable=False)
        yield Objection(found.no_space, _NO_SPACE, resolvable=False)


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    if not pod_class.claims:
        return None
    found = _options(view, pod_class)
    return None if found is None else emptiness(view.volumes, found)


def hindrance(volumes: VolumeView, claims: Sequence[Claimed]) -> str:
    """Why a pod with these claims fits on no node at all; "" if nothing is in its way."""
    for one in claims:
        if why := _unusable(volumes, one):
            return why
    for one in claims:
        claim = volumes.claims[one.key]
        klass = volumes.classes.get(claim.wanted.grade[0])
        if not claim.bound and (claim.volume or klass is None or not klass.waits):
            return _IMMEDIATE
    return ""


def _unusable(volumes: VolumeView, one: Claimed) -> str:
    claim, name = volumes.claims.get(one.key), one.key.partition("/")[2]
    pod, uid = one.maker
    if claim is None and pod:
        return (
            f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        )
    if claim is None:
        return f'persistentvolumeclaim "{name}" not found'
    if claim.lost:
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{claim.volume}"'
    if claim.leaving:
        return f'persistentvolumeclaim "{name}" is being deleted'
    if pod and claim.owner != uid:
        return f"PVC {one.key} was not created for pod {pod} (pod is not owner)"
    return ""


def _of_bound(view: ClusterView, claims: Sequence[Claimed]) -> Iterator[Objection]:
    gone, elsewhere = False, np.zeros(view.size, np.bool_)
    for one in claims:
        claim = view.volumes.claims[one.key]
        if claim.bound and claim.volume not in view.volumes.places:
            gone = True
        elif claim.bound:
            elsewhere |= ~view.volumes.reached(claim.volume)
    yield Objection(elsewhere, _ELSEWHERE, resolvable=False)
    if gone:
        yield Objection(view.alive, _GONE, resolvable=False)


def _options(view: ClusterView, pod_class: PodClass) -> Options | None:
    """Asked for by the filter, the score and the binding in one turn: remembered while it holds."""
    if hindrance(view.volumes, pod_class.claims):
        return None
    claims = waiting(view.volumes, pod_class.claims)
    if not claims:
        return None
    key = (view.volumes.version, view.shape, claims)
    if view.volumes.remembered[0] != key:
        found = options(view.volumes, view.size, view.names, claims)
        view.volumes.remembered = (key, found)
    held: Options = view.volumes.remembered[1]
    return held


@dataclass(frozen=True, slots=True)
class VolumeWork:
    """What is to be written before a pod is bound to a node, and waited for. give: (volume, claim
    namespace/name); make: claims whose volumes are to be made for the node; waits: all of them."""

    give: tuple[tuple[str, str], ...]
    make: tuple[str, ...]
    waits: tuple[str, ...]


NOTHING = VolumeWork((), (), ())


def work_for(view: ClusterView, pod_class: PodClass, row: int) -> VolumeWork | None:
    """What binding a pod of a class to a row asks for; None if its claims are bound."""
    found = _options(view, pod_class) if pod_class.claims else None
    if found is None:
        return None
    give, make = [], []
    for claim, column in zip(found.claims, found.chosen, strict=True):
        number = int(column[row])
        if number == NONE:
            make.append(claim.wanted.key)
        else:
            give.append((found.offered[number].name, claim.wanted.key))
    return VolumeWork(tuple(give), tuple(make), tuple(one.wanted.key for one in found.claims))


def assume(view: ClusterView, work: VolumeWork, row: int) -> None:
    """Take the volumes in the view: the next pod does not get them."""
    volumes = view.volumes
    for volume, key in work.give:
        volumes.assume(volumes.claims[key].wanted, volume)
    for key in work.make:
        volumes.assume_made(volumes.claims[key].wanted, view.names[row])
