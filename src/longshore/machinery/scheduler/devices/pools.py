"""Devices as placement sees them, and the pools that their slices make up. Pure.

Rules: GatherPools in k8s.io/dynamic-resource-allocation/structured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from longshore.base import quantities
from longshore.core.objects.cel.selectors import qualified, variables_of
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pods.demand import Term, term_of

PoolId: TypeAlias = tuple[str, str]
"""A driver, and the name of one of its pools."""
DeviceId: TypeAlias = tuple[str, str, str]
"""A driver, a pool, a device."""
Counter: TypeAlias = tuple[str, str]
"""A set of counters, and one of them."""


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device can be used: on one node, on those of a selector, or (neither) on all."""

    node: str = ""
    selector: Doc | None = None
    term: Term | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """attributes by their whole name ("dra.example.com/model"), each with its kind. seen: what
    selectors see. judged: what they said, by their text."""

    id: DeviceId
    place: Place
    attributes: Mapping[str, tuple[str, Any]]
    seen: Mapping[str, Any]
    taints: tuple[Taint, ...]
    consumes: tuple[tuple[Counter, Fraction], ...]
    judged: dict[tuple[str, ...], bool | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A part of a pool. total: of how many parts the pool is."""

    name: str
    pool: PoolId
    generation: int
    total: int
    devices: tuple[Device, ...]
    counters: Mapping[Counter, Fraction]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The newest generation of a pool. incomplete: parts of it are missing; mistake: why it cannot be
    used as it is."""

    id: PoolId
    devices: tuple[Device, ...] = ()
    counters: Mapping[Counter, Fraction] = field(default_factory=dict)
    incomplete: bool = False
    mistake: str = ""

    @property
    def name(self) -> str:
        return "/".join(self.id)


def pool_of(slices: Iterable[Slice]) -> Pool:
    """The pool that these are parts of, at least one."""
    parts = sorted(slices, key=lambda one: (-one.generation, one.name))
    newest = [one for one in parts if one.generation == parts[0].generation]
    devices = tuple(device for one in newest for device in one.devices)
    counters = {name: value for one in newest for name, value in one.counters.items()}
    return Pool(
        id=parts[0].pool,
        devices=devices,
        counters=counters,
        incomplete=len(newest) != newest[0].total,
        mistake=_mistake(devices),
    )


def _mistake(devices: Sequence[Device]) -> str:
    seen: set[DeviceId] = set()
    for one in devices:
        if one.id in seen:
            return f"duplicate device name {one.id[2]}"
        seen.add(one.id)
    return ""


def slice_of(doc: Doc) -> Slice:
    spec = doc["spec"]
    pool, driver = spec["pool"], spec["driver"]
    return Slice(
        name=doc["metadata"]["name"],
        pool=(driver, pool["name"]),
        generation=pool.get("generation", 0),
        total=pool["resourceSliceCount"],
        devices=tuple(_device(spec, one) for one in spec.get("devices") or ()),
        counters=dict(_counters(spec.get("sharedCounters") or (), "name")),
    )


def _device(spec: Doc, device: Doc) -> Device:
    driver = spec["driver"]
    return Device(
        id=(driver, spec["pool"]["name"], device["name"]),
        place=_place(device if spec.get("perDeviceNodeSelection") else spec),
        attributes={
            "/".join(qualified(name, driver)): next(iter(told.items()), ("", None))
            for name, told in (device.get("attributes") or {}).items()
        },
        seen=variables_of(driver, device),
        taints=tuple(taint_of(one) for one in device.get("taints") or ()),
        consumes=tuple(_counters(device.get("consumesCounters") or (), "counterSet")),
    )


def taint_of(taint: Doc) -> Taint:
    return Taint(taint["key"], taint.get("value", ""), taint["effect"])


def _place(said: Doc) -> Place:
    selector = said.get("nodeSelector")
    if selector is not None:
        return Place(selector=selector, term=term_of(selector["nodeSelectorTerms"][0]))
    return Place(said.get("nodeName") or "")


def _counters(sets: Iterable[Doc], named: str) -> Iterator[tuple[Counter, Fraction]]:
    for one in sets:
        for name, counter in one["counters"].items():
            yield (one[named], name), quantities.parse(counter["value"])
