"""DynamicResources: a pod goes where its claims of devices are, or can be, allocated
(pkg/scheduler/framework/plugins/dynamicresources)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from longshore.core.objects.device_claims import RESERVED_MAX
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.devices.allocator import NotAllocatable
from longshore.machinery.scheduler.devices.requests import Asked
from longshore.machinery.scheduler.pods.devices import DeviceClaims
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.devices import (
    NOT_YET,
    Answers,
    Claim,
    DeviceView,
    allocations,
)
from longshore.machinery.scheduler.view.view import ClusterView

_ELSEWHERE = "resourceclaim not available on the node"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    if pod_class.devices is None:
        return
    why = hindrance(view.devices, pod_class.devices)
    if why:
        yield Objection(view.alive, why, resolvable=False, whole=True)
        return
    for key in pod_class.devices.keys:
        reach = view.devices.reach(view.devices.claims[key])
        if reach is not None:
            yield Objection(~reach, _ELSEWHERE, resolvable=False)
    asked = _asked(view.devices, pod_class.devices)
    if asked:
        yield from _not_free(view, asked, view.devices.where_free(asked))


def _not_free(view: ClusterView, asked: tuple[Asked, ...], answers: Answers) -> Iterator[Objection]:
    rows: dict[str, list[int]] = {}
    for row in np.flatnonzero(view.alive & ~answers.free).tolist():
        rows.setdefault(_told(answers.why.get(row, NOT_YET) or NOT_YET, asked), []).append(row)
    for why, some in rows.items():
        mask = np.zeros(view.size, np.bool_)
        mask[some] = True
        yield Objection(mask, why, resolvable=False)


def _told(why: NotAllocatable, asked: tuple[Asked, ...]) -> str:
    return why.why if why.claim is None else f"claim {asked[why.claim].key}{why.why}"


def hindrance(known: DeviceView, devices: DeviceClaims) -> str:
    """Why a pod with these claims fits on no node at all; "" if nothing is in its way."""
    if devices.missing:
        return f'pod "{devices.pod}": ResourceClaim not created yet'
    found = [(key, known.claims.get(key)) for key in devices.keys]
    for key, claim in found:
        if why := _unusable(key, claim, devices) or _waited_for(known, key, claim, devices):
            return why
    return ""


def _unusable(key: str, claim: Claim | None, devices: DeviceClaims) -> str:
    name = key.partition("/")[2]
    if claim is None:
        return f'resourceclaim.resource.k8s.io "{name}" not found'
    if claim.leaving:
        return f'resourceclaim "{name}" is being deleted'
    if key in devices.made and claim.owner != devices.uid:
        return f"ResourceClaim {key} was not created for Pod {devices.pod} (Pod is not owner)"
    return ""


def _waited_for(known: DeviceView, key: str, claim: Claim | None, devices: DeviceClaims) -> str:
    """claim is None only where that has been told already."""
    assert claim is not None
    if claim.allocated:
        full = len(claim.users) >= RESERVED_MAX and devices.uid not in claim.users
        return "resourceclaim in use" if full else ""
    if known.is_assumed(key):
        return f"resource claim {key} is in the process of being allocated"
    for wants in claim.asked.requests:
        for want in wants:
            if want.device_class not in known.classes:
                return f"request {want.name}: device class {want.device_class} does not exist"
    return ""


def _asked(known: DeviceView, devices: DeviceClaims) -> tuple[Asked, ...]:
    """What has yet to be allocated."""
    claims = (known.claims[key] for key in devices.keys)
    return tuple(claim.asked for claim in claims if not claim.allocated)


@dataclass(frozen=True, slots=True)
class DeviceWork:
    """What is to be written before a pod is bound. give: allocations by claim; use: claims, allocated
    or not, which the pod is not yet a user of."""

    give: dict[str, Doc]
    use: tuple[str, ...]


def work_for(view: ClusterView, devices: DeviceClaims, row: int) -> DeviceWork | None:
    """What binding a pod with these claims to a row asks for, taken in the view from now on; None if
    its claims are there and its own."""
    known = view.devices
    use = tuple(key for key in devices.keys if devices.uid not in known.claims[key].users)
    asked = _asked(known, devices)
    granted = known.allocate(asked, row) if asked else []
    assert granted is not None, "the filter has let it pass"
    for one, grants in zip(asked, granted, strict=True):
        known.assume(one.key, grants)
    return DeviceWork(allocations(known, asked, granted), use) if use or asked else None


def to_deallocate(known: DeviceView, devices: DeviceClaims) -> str:
    """An allocated claim that nobody but the pod may use, so that it can be allocated where the pod can
    be; "" if there is none."""
    for key in devices.keys:
        claim = known.claims.get(key)
        if claim is not None and claim.allocated and claim.terms and claim.users <= {devices.uid}:
            return key
    return ""
