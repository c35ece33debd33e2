"""Which devices of some pools a few claims are given: the first that satisfy all of them. Pure.

Pools, requests and devices are tried in their order, and given back where that leads nowhere
(k8s.io/dynamic-resource-allocation/structured). A search ends after so many steps.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Container, Mapping, Sequence
from fractions import Fraction

from longshore.core.objects.cel.program import NotCompiled, NotEvaluated
from longshore.core.objects.cel.selectors import Meter, selector
from longshore.machinery.scheduler.devices.pools import Counter, Device, DeviceId, Pool, PoolId
from longshore.machinery.scheduler.devices.requests import (
    Asked,
    Constraint,
    DeviceClass,
    Grant,
    Want,
)

PER_CLAIM_MAX = 32
"""Devices that a claim can be given."""
IN_ALL_MAX = 256
"""Devices that the claims of one pod can be given."""
STEPS_MAX = 20_000
_JUDGED_MAX = 64
_PREVENTING = ("NoSchedule", "NoExecute")


class NotAllocatable(Exception):
    """Why a search was given up: something is wrong, rather than missing. claim: the number of the
    claim whose fault it is, if it is one's."""

    def __init__(self, why: str, claim: int | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.claim = claim


def allocate(
    claims: Sequence[Asked],
    pools: Sequence[Pool],
    classes: Mapping[str, DeviceClass],
    taken: Container[DeviceId],
    left: Callable[[PoolId], Mapping[Counter, Fraction]],
    meter: Meter,
) -> list[list[Grant]] | None:
    """Devices for each claim, or None if there are not enough. pools have the devices that can be used
    there; left tells what is left of a pool's counters; meter what selectors may still cost.
    NotAllocatable if it cannot be told, Exhausted if it cannot be told now."""
    _check(claims, pools)
    search = _Search(claims, pools, classes, taken, left, meter)
    return search.granted if search.claim(0) else None


def _check(claims: Sequence[Asked], pools: Sequence[Pool]) -> None:
    """NotAllocatable where a pool must be waited for or mended."""
    for pool in pools:
        if pool.mistake and not pool.incomplete:
            raise NotAllocatable(f"pool {pool.id[1]} is invalid: {pool.mistake}")
    missing = next((pool.name for pool in pools if pool.incomplete), "")
    for number, claim in enumerate(claims):
        for want in (one for wants in claim.requests for one in wants):
            if missing and not want.count:
                name = want.name.rpartition("/")[2]
                why = (
                    f"asks for all devices, but resource pool {missing} is currently being updated"
                )
                raise NotAllocatable(f", request {name}: {why}", number)


class _Search:
    def __init__(
        self,
        claims: Sequence[Asked],
        pools: Sequence[Pool],
        classes: Mapping[str, DeviceClass],
        taken: Container[DeviceId],
        left: Callable[[PoolId], Mapping[Counter, Fraction]],
        meter: Meter,
    ) -> None:
        self._claims = claims
        self._pools = [pool for pool in pools if not pool.incomplete]
        self._classes = classes
        self._taken = taken
        self._left = left
        self._meter = meter
        self._used: Counts[DeviceId] = Counts()
        self._consumed: dict[PoolId, dict[Counter, Fraction]] = {}
        self._steps = STEPS_MAX
        self._found: dict[tuple[int, str], list[Device]] = {}
        self.granted: list[list[Grant]] = [[] for _ in claims]

    def claim(self, number: int) -> bool:
        """Whether this claim and all after it find what they need."""
        return number == len(self._claims) or self._request(number, 0)

    def _request(self, number: int, place: int) -> bool:
        claim = self._claims[number]
        if place == len(claim.requests):
            return self.claim(number + 1)
        return any(self._want(number, place, want) for want in claim.requests[place])

    def _want(self, number: int, place: int, want: Want) -> bool:
        found = self._candidates(number, want)
        count = want.count or len(found)
        mine, all_of_them = self.granted[number], sum(map(len, self.granted))
        room = PER_CLAIM_MAX - len(mine) - _least(self._claims[number].requests[place + 1 :])
        if not 0 < count <= min(len(found), room):
            return False
        if all_of_them + count > IN_ALL_MAX:
            raise NotAllocatable(f"claims of one pod may have {IN_ALL_MAX} devices in all")
        return self._devices(number, place, want, found, count)

    def _devices(
        self, number: int, place: int, want: Want, found: Sequence[Device], count: int
    ) -> bool:
        """Whether so many of the candidates do, in any choice; of all there are, none can be spared."""
        if not count:
            return self._request(number, place + 1)
        for index in range(len(found) - count + 1):
            if self._take(number, want, found[index]):
                if self._devices(number, place, want, found[index + 1 :], count - 1):
                    return True
                self._give_back(number)
        return False

    # --- one device ---

    def _candidates(self, number: int, want: Want) -> list[Device]:
        """Looked for once in a search, however often that comes back to them."""
        found = self._found.get((number, want.name))
        if found is None:
            devices = (one for pool in self._pools for one in pool.devices)
            found = [one for one in devices if self._suits(number, want, one)]
            self._found[number, want.name] = found
        return found

    def _suits(self, number: int, want: Want, device: Device) -> bool:
        """Of those that all of a kind are asked for, the ones that others have count too: then there
        is no solution."""
        if want.count and not want.admin and device.id in self._taken:
            return False
        given = self._classes[want.device_class]
        of_class, of_claim = (
            _judged(device, texts, self._meter) for texts in (given.selectors, want.selectors)
        )
        if isinstance(of_class, str):
            raise NotAllocatable(f"class {given.name}: {of_class}")
        if of_class and isinstance(of_claim, str):
            raise NotAllocatable(f": {of_claim}", number)
        return of_class and of_claim is True

    def _take(self, number: int, want: Want, device: Device) -> bool:
        self._steps -= 1
        if self._steps < 0:
            raise NotAllocatable("timed out trying to allocate devices")
        if not self._is_free(number, want, device) or not _tolerated(want, device):
            return False
        if not all(
            self._holds(number, one, want, device) for one in self._claims[number].constraints
        ):
            return False
        if not want.admin:
            if not self._consume(device, 1):
                return False
            self._used[device.id] += 1
        self.granted[number].append(Grant(want, device))
        return True

    def _give_back(self, number: int) -> None:
        want, device = self.granted[number].pop()
        if not want.admin:
            self._consume(device, -1)
            self._used[device.id] -= 1

    def _is_free(self, number: int, want: Want, device: Device) -> bool:
        """Who has the rights of an administrator uses what others have, though not twice."""
        if want.admin:
            return all(grant.device.id != device.id for grant in self.granted[number])
        return device.id not in self._taken and not self._used[device.id]

    def _holds(self, number: int, constraint: Constraint, want: Want, device: Device) -> bool:
        if not constraint.applies(want):
            return True
        value = device.attributes.get(constraint.attribute)
        if value is None:
            return False
        others = [
            grant.device.attributes[constraint.attribute]
            for grant in self.granted[number]
            if constraint.applies(grant.want)
        ]
        return value not in others if constraint.distinct else others[:1] in ([], [value])

    def _consume(self, device: Device, sign: int) -> bool:
        """Take from the counters that a device shares with others of its pool, or (-1) give back."""
        if not device.consumes:
            return True
        pool = device.id[:2]
        spent = self._consumed.setdefault(pool, {})
        if sign > 0:
            left = self._left(pool)
            zero = Fraction()
            if any(left.get(c, zero) - spent.get(c, zero) < n for c, n in device.consumes):
                return False
        for counter, amount in device.consumes:
            spent[counter] = spent.get(counter, Fraction()) + sign * amount
        return True


def _least(requests: Sequence[Sequence[Want]]) -> int:
    """How many devices these need at least."""
    return sum(min(max(1, one.count) for one in wants) for wants in requests)


def _tolerated(want: Want, device: Device) -> bool:
    return all(
        taint.effect not in _PREVENTING or any(one.tolerates(taint) for one in want.tolerations)
        for taint in device.taints
    )


def _judged(device: Device, selectors: tuple[str, ...], meter: Meter) -> bool | str:
    """What selectors say of a device, or why they say nothing: asked once."""
    if not selectors:
        return True
    found = device.judged.get(selectors)
    if found is None:
        if len(device.judged) >= _JUDGED_MAX:
            device.judged.clear()
        found = device.judged[selectors] = _ask(device, selectors, meter)
    return found


def _ask(device: Device, selectors: tuple[str, ...], meter: Meter) -> bool | str:
    for number, text in enumerate(selectors):
        try:
            if not selector(text).matches(device.seen, meter):
                return False
        except NotCompiled as error:
            return f"selector #{number}: CEL compile error: {error}"
        except NotEvaluated as error:
            return f"selector #{number}: CEL runtime error: {error}"
    return True
