"""Claims of devices, classes and slices as placement sees them, kept by their events. A cluster whose
pods claim no devices pays nothing.

What a claim has been given is taken from the moment at which that is decided: written or not.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from longshore.core.objects import device_claims, kinds
from longshore.core.objects.cel.selectors import Exhausted, Meter
from longshore.core.objects.kinds import Doc, Kind
from longshore.machinery.scheduler.devices.allocator import NotAllocatable, allocate
from longshore.machinery.scheduler.devices.pools import (
    Counter,
    Device,
    DeviceId,
    Pool,
    PoolId,
    Slice,
    Taint,
    pool_of,
    slice_of,
    taint_of,
)
from longshore.machinery.scheduler.devices.requests import (
    Asked,
    DeviceClass,
    Grant,
    allocation,
    asked_by,
    class_of,
)
from longshore.machinery.scheduler.pods.demand import Term, term_of
from longshore.machinery.scheduler.view.columns import Mask
from longshore.machinery.scheduler.view.nodes import Nodes

HEARD: tuple[Kind, ...] = (
    kinds.DEVICE_CLASS, kinds.DEVICE_TAINT_RULE, kinds.RESOURCE_SLICE, kinds.RESOURCE_CLAIM,
)  # fmt: skip
CANNOT = NotAllocatable("cannot allocate all claims")
NOT_YET = NotAllocatable("timed out trying to allocate devices")
# What selectors may cost in one turn: some tenths of a second.
_AT_ONCE = 5_000_000
# Different demands whose answers are kept.
_ANSWERS_MAX = 256


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """terms: where it can be used, if it has been allocated (empty: everywhere). devices: those that
    nobody else can have. users: uids."""

    asked: Asked
    owner: str
    leaving: bool
    allocated: bool
    terms: tuple[Term, ...]
    devices: tuple[DeviceId, ...]
    users: frozenset[str]


@dataclass(frozen=True, slots=True)
class TaintRule:
    """Taints devices; an empty word means every driver, pool or device."""

    driver: str
    pool: str
    device: str
    taint: Taint

    def concerns(self, one: DeviceId) -> bool:
        asked = (self.driver, self.pool, self.device)
        return all(word in ("", has) for word, has in zip(asked, one, strict=True))


@dataclass(slots=True)
class Stir:
    """What changed that pods may wait for: claims by key, or anything."""

    claims: set[str] = field(default_factory=set)
    anything: bool = False

    def __bool__(self) -> bool:
        return bool(self.claims or self.anything)


@dataclass(slots=True)
class Answers:
    """For one demand, by row: whether that is known, whether there are devices for it, and why not."""

    known: Mask
    free: Mask
    why: dict[int, NotAllocatable | None] = field(default_factory=dict)


class DeviceView:
    """nodes: whose names and labels decide where devices can be used."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.claims: dict[str, Claim] = {}
        self.classes: dict[str, DeviceClass] = {}
        self._slices: dict[str, Slice] = {}
        self._parts: dict[PoolId, dict[str, Slice]] = {}
        self._pools: dict[PoolId, Pool] = {}
        # Pools by the nodes that their devices are on; under "" those that have devices elsewhere too.
        self._at: dict[str, dict[PoolId, None]] = {}
        self._rules: dict[str, TaintRule] = {}
        self._taken: Counts[DeviceId] = Counts()
        # What has been decided and not been heard of yet, by claim.
        self._assumed: dict[str, tuple[DeviceId, ...]] = {}
        self._answers: dict[tuple[Asked, ...], Answers] = {}
        # Where terms hold, while the nodes' shape stands.
        self._reaches: dict[Term, Mask] = {}
        self._shape = -1
        self._stir = Stir()

    # --- what is heard ---

    def hear(self, kind: Kind, doc: Doc, *, gone: bool) -> None:
        """Take one change in of a kind that is HEARD."""
        name = doc["metadata"]["name"]
        if kind is kinds.RESOURCE_CLAIM:
            self._hear_claim(doc, gone)
        elif kind is kinds.RESOURCE_SLICE:
            self._hear_slice(name, None if gone else slice_of(doc))
        elif kind is kinds.DEVICE_CLASS:
            self.classes.pop(name, None)
            if not gone:
                self.classes[name] = class_of(doc)
            self._changed()
        else:
            self._hear_rule(name, None if gone else _rule(doc))

    def stirred(self) -> Stir:
        """What pods that wait may have waited for, since this was asked last."""
        stir, self._stir = self._stir, Stir()
        return stir

    def _changed(self) -> None:
        """Anything may be different for anybody."""
        self._answers.clear()
        self._stir.anything = True

    def _hear_claim(self, doc: Doc, gone: bool) -> None:
        asked = self.claims[key].asked if (key := _key(doc)) in self.claims else None
        before = self.claims.pop(key, None)
        had = before.devices if before is not None else ()
        self._stir.claims.add(key)
        if not gone:
            claim = self.claims[key] = _claim(doc, asked)
            if claim.devices == had:
                had = ()
            else:
                self._take(claim.devices, 1)
        if gone or claim.allocated:
            self.unassume(key)
        self._take(had, -1)

    def _hear_slice(self, name: str, found: Slice | None) -> None:
        before = self._slices.pop(name, None)
        touched = {one.pool for one in (before, found) if one is not None}
        if before is not None:
            del self._parts[before.pool][name]
        if found is not None:
            self._slices[name] = found
            self._parts.setdefault(found.pool, {})[name] = found
        for pool in touched:
            self._gather(pool)

    def _hear_rule(self, name: str, found: TaintRule | None) -> None:
        rules = [one for one in (self._rules.pop(name, None), found) if one is not None]
        if found is not None:
            self._rules[name] = found
        for pool in list(self._pools):
            if any(rule.driver in ("", pool[0]) and rule.pool in ("", pool[1]) for rule in rules):
                self._gather(pool)

    def _gather(self, pool: PoolId) -> None:
        """Put a pool together anew."""
        before = self._pools.pop(pool, None)
        for name in _places(before):
            self._at[name].pop(pool)
            if not self._at[name]:
                del self._at[name]
        if not self._parts[pool]:
            del self._parts[pool]
        else:
            made = pool_of(self._parts[pool].values())
            devices = tuple(self._tainted(one) for one in made.devices)
            self._pools[pool] = replace(made, devices=devices)
        after = self._pools.get(pool)
        for name in _places(after):
            self._at.setdefault(name, {})[pool] = None
        self._moved({*_places(before), *_places(after)})
        self._stir.anything = True

    def _tainted(self, device: Device) -> Device:
        more = tuple(rule.taint for rule in self._rules.values() if rule.concerns(device.id))
        return replace(device, taints=(*device.taints, *more)) if more else device

    # --- what is taken ---

    def assume(self, key: str, grants: Sequence[Grant]) -> None:
        """Take it that a claim has these devices: it is being written."""
        devices = tuple(one.device.id for one in grants if not one.want.admin)
        self._assumed[key] = devices
        self._take(devices, 1)

    def unassume(self, key: str) -> None:
        """The claim has been heard of, or nothing came of it."""
        self._take(self._assumed.pop(key, ()), -1)

    def is_assumed(self, key: str) -> bool:
        return key in self._assumed

    def _take(self, devices: Iterable[DeviceId], sign: int) -> None:
        for one in devices:
            self._taken[one] += sign
            if not self._taken[one]:
                del self._taken[one]
                self._stir.anything = True
            pool = self._pools.get(one[:2])
            if pool is not None:
                self._moved(_places(pool))

    def _moved(self, names: Iterable[str]) -> None:
        """What is free has changed on some nodes; under "" everywhere."""
        for name in names:
            if not name or self._shape != self._nodes.shape:
                self._answers.clear()
                return
            row = self._nodes.rows.get(name)
            for answers in self._answers.values() if row is not None else ():
                answers.known[row] = False

    # --- what is asked ---

    def where_free(self, asked: tuple[Asked, ...]) -> Answers:
        """For every row whether these claims could be allocated there, and why not."""
        if self._shape != self._nodes.shape:
            self._shape = self._nodes.shape
            self._answers.clear()
            self._reaches.clear()
        found = self._answers.get(asked)
        if found is None:
            if len(self._answers) >= _ANSWERS_MAX:
                self._answers.clear()
            size = self._nodes.size
            found = Answers(np.zeros(size, np.bool_), np.zeros(size, np.bool_))
            self._answers[asked] = found
        self._learn(asked, found)
        return found

    def allocate(self, asked: tuple[Asked, ...], row: int) -> list[list[Grant]] | None:
        """Devices for claims on a row, None if there are not enough; NotAllocatable if it cannot be
        told. To be asked after where_free()."""
        return self._allocate(asked, self._pools_on(row), Meter(_AT_ONCE))

    def reach(self, claim: Claim) -> Mask | None:
        """The rows on which an allocated claim can be used; None if that is all."""
        if not claim.terms:
            return None
        mask = np.zeros(self._nodes.size, np.bool_)
        for term in claim.terms:
            mask |= self._nodes.matching(term)
        return mask

    def _learn(self, asked: tuple[Asked, ...], found: Answers) -> None:
        """Ask about the rows that are not known. Those that see the same pools have the same answer.
        Where selectors would take too long the others are asked about next time, which is soon."""
        meter = Meter(_AT_ONCE)
        found.free &= found.known
        alike: dict[tuple[int, ...], NotAllocatable | None] = {}
        for row in np.flatnonzero(self._nodes.alive & ~found.known).tolist():
            pools = self._pools_on(row)
            seen = tuple(id(device) for pool in pools for device in pool.devices)
            if seen not in alike:
                try:
                    alike[seen] = self._why_not(asked, pools, meter)
                except Exhausted:
                    self._stir.anything = True
                    return
            found.known[row], found.free[row] = True, alike[seen] is None
            found.why[row] = alike[seen]

    def _why_not(
        self, asked: tuple[Asked, ...], pools: Sequence[Pool], meter: Meter
    ) -> NotAllocatable | None:
        try:
            return None if self._allocate(asked, pools, meter) is not None else CANNOT
        except NotAllocatable as error:
            return error

    def _allocate(
        self, asked: tuple[Asked, ...], pools: Sequence[Pool], meter: Meter
    ) -> list[list[Grant]] | None:
        return allocate(asked, pools, self.classes, self._taken, self._left, meter)

    def _pools_on(self, row: int) -> list[Pool]:
        """The pools that have devices on a row, with those alone."""
        name = self._nodes.names[row]
        ids = sorted({**self._at.get(name, {}), **self._at.get("", {})})
        return [
            pool for one in ids if (pool := self._pool_on(self._pools[one], name, row)) is not None
        ]

    def _pool_on(self, pool: Pool, name: str, row: int) -> Pool | None:
        devices = tuple(one for one in pool.devices if self._is_on(one, name, row))
        if not devices:
            return None
        return pool if len(devices) == len(pool.devices) else replace(pool, devices=devices)

    def _is_on(self, device: Device, name: str, row: int) -> bool:
        place = device.place
        if place.node:
            return place.node == name
        return place.term is None or bool(self._reach(place.term)[row])

    def _reach(self, term: Term) -> Mask:
        found = self._reaches.get(term)
        if found is None:
            found = self._reaches[term] = self._nodes.matching(term)
        return found

    def _left(self, pool: PoolId) -> Mapping[Counter, Fraction]:
        """What is left of a pool's counters after those that have devices of it."""
        found = self._pools[pool]
        left = dict(found.counters)
        for device in found.devices:
            if device.consumes and device.id in self._taken:
                for counter, amount in device.consumes:
                    left[counter] = left.get(counter, Fraction()) - amount
        return left


def _places(pool: Pool | None) -> Iterator[str]:
    """The nodes that a pool is on, "" for others than those named; each once."""
    if pool is not None:
        yield from {one.place.node for one in pool.devices}


def _key(doc: Doc) -> str:
    return f"{doc['metadata']['namespace']}/{doc['metadata']['name']}"


def _claim(doc: Doc, asked: Asked | None) -> Claim:
    """asked: what it was known to ask for, which never changes."""
    status = device_claims.status_of(doc)
    given = status.get("allocation")
    results = ((given or {}).get("devices") or {}).get("results") or ()
    terms = ((given or {}).get("nodeSelector") or {}).get("nodeSelectorTerms") or ()
    return Claim(
        asked=asked or asked_by(doc),
        owner=device_claims.owner_of(doc),
        leaving="deletionTimestamp" in doc["metadata"],
        allocated=given is not None,
        terms=tuple(term_of(one) for one in terms),
        devices=tuple(
            (one["driver"], one["pool"], one["device"])
            for one in results
            if not one.get("adminAccess")
        ),
        users=frozenset(one["uid"] for one in status.get("reservedFor") or ()),
    )


def _rule(doc: Doc) -> TaintRule:
    spec = doc["spec"]
    chosen = spec.get("deviceSelector") or {}
    driver, pool, device = (chosen.get(word, "") for word in ("driver", "pool", "device"))
    return TaintRule(driver, pool, device, taint_of(spec["taint"]))


def allocations(
    view: DeviceView, asked: Sequence[Asked], granted: Sequence[Sequence[Grant]]
) -> dict[str, Doc]:
    """status.allocation of each claim that was granted devices, by its key."""
    return {
        one.key: allocation(one, grants, view.classes)
        for one, grants in zip(asked, granted, strict=True)
    }
