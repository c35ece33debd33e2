"""What a queue may use: its own quota, and what its cohort has to lend. Pure.

Source: https://kueue.sigs.k8s.io/docs/concepts/cluster_queue/ (cohorts, borrowingLimit, lendingLimit,
fair sharing) and Ghodsi et al., Dominant Resource Fairness (NSDI 2011): whoever borrows is measured
by the largest part that it borrows of any resource, divided by its weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.core.objects.offers import Amounts
from longshore.core.objects.pod_requests import amount, written


@dataclass(frozen=True, slots=True)
class Quota:
    """Of one resource, in whole numbers; limits of None are none."""

    flavor: str
    nominal: int
    borrowing: int | None = None
    lending: int | None = None

    @property
    def kept(self) -> int:
        """What is never lent."""
        return 0 if self.lending is None else max(self.nominal - self.lending, 0)

    @property
    def lent(self) -> int:
        return self.nominal - self.kept


@dataclass(frozen=True, slots=True)
class Share:
    """A ClusterQueue, as far as deciding goes. strict: the first that does not fit holds up those
    behind it. stopped: nothing is admitted. reclaims: others' pods are evicted for its quota."""

    name: str
    cohort: str
    quotas: Mapping[str, Quota]
    weight: float = 1.0
    strict: bool = False
    stopped: bool = False
    reclaims: bool = False


class Cohort:
    """Queues that lend to one another, and what each of them uses."""

    def __init__(self, shares: Iterable[Share]) -> None:
        self.shares = {one.name: one for one in shares}
        self._used: dict[str, dict[str, int]] = {name: {} for name in self.shares}
        # Of each resource: what the queues have in common, and what of that is in use.
        self._lent: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        for one in self.shares.values():
            for name, quota in one.quotas.items():
                self._lent[name] = self._lent.get(name, 0) + quota.lent

    def copy(self) -> Cohort:
        """One to try things on."""
        other = Cohort(self.shares.values())
        other._used = {queue: dict(used) for queue, used in self._used.items()}
        other._taken = dict(self._taken)
        return other

    def use(self, queue: str, amounts: Amounts, sign: int = 1) -> None:
        """A queue uses so much more, or with -1 less."""
        used, quotas = self._used[queue], self.shares[queue].quotas
        for name, value in amounts.items():
            before = used.get(name, 0)
            used[name] = after = before + sign * value
            if name in quotas:
                kept = quotas[name].kept
                moved = max(after - kept, 0) - max(before - kept, 0)
                self._taken[name] = self._taken.get(name, 0) + moved

    def used_of(self, queue: str, resource: str) -> int:
        return self._used[queue].get(resource, 0)

    def left(self, queue: str, resource: str) -> int:
        """How much more the queue may use now; negative if it uses more than it may."""
        quota, used = self.shares[queue].quotas[resource], self.used_of(queue, resource)
        own, beyond = max(quota.kept - used, 0), max(used - quota.kept, 0)
        common = self._lent[resource] - self._taken.get(resource, 0)
        if quota.borrowing is not None:
            common = min(common, quota.lent + quota.borrowing - beyond)
        return own + common

    def most(self, queue: str, resource: str) -> int:
        """How much the queue could use if nobody else used anything."""
        quota = self.shares[queue].quotas[resource]
        most = quota.kept + self._lent[resource]
        return most if quota.borrowing is None else min(most, quota.nominal + quota.borrowing)

    def borrowed(self, queue: str, resource: str) -> int:
        quota = self.shares[queue].quotas.get(resource)
        nominal = 0 if quota is None else quota.nominal
        return max(self.used_of(queue, resource) - nominal, 0)

    def share(self, queue: str, more: Amounts | None = None) -> float:
        """The weighed dominant share of what the queue borrows, once it used so much more: of 0 (it
        borrows nothing) upwards."""
        found = 0.0
        for name, quota in self.shares[queue].quotas.items():
            used = self.used_of(queue, name) + (more or {}).get(name, 0)
            borrowed, common = used - quota.nominal, self._lent[name]
            if borrowed > 0:
                found = max(found, borrowed / common if common else inf)
        weight = self.shares[queue].weight
        if not found:
            return 0.0
        return found / weight if weight else inf

    def objection(self, queue: str, wanted: Amounts) -> str:
        """Why so much more is not the queue's now, in Kueue's words; empty if it is."""
        told = (_objection(self, queue, *one) for one in self._counted(queue, wanted))
        return ", ".join(filter(None, told))

    def is_own(self, queue: str, wanted: Amounts) -> bool:
        """Whether so much more would still be within the queue's own quota."""
        quotas = self.shares[queue].quotas
        return all(
            name in quotas and self.used_of(queue, name) + value <= quotas[name].nominal
            for name, value in self._counted(queue, wanted)
        )

    def _counted(self, queue: str, wanted: Amounts) -> Iterator[tuple[str, int]]:
        """What has to be covered by a quota: how many pods there are, only if there is one for it."""
        covered = self.shares[queue].quotas
        for name, value in wanted.items():
            if value and (name != "pods" or name in covered):
                yield name, value


def _objection(cohort: Cohort, queue: str, resource: str, value: int) -> str:
    quota = cohort.shares[queue].quotas.get(resource)
    if quota is None:
        return f"resource {resource} unavailable in ClusterQueue"
    most, left = cohort.most(queue, resource), cohort.left(queue, resource)
    if value > most:
        return (
            f"insufficient quota for {resource} in flavor {quota.flavor}, request > maximum "
            f"capacity ({written(resource, value)} > {written(resource, most)})"
        )
    if value > left:
        short = written(resource, value - max(left, 0))
        return f"insufficient unused quota for {resource} in flavor {quota.flavor}, {short} more needed"
    return ""


def share_of(queue: Doc) -> Share:
    """What a ClusterQueue says."""
    spec = queue["spec"]
    weight = (spec.get("fairSharing") or {}).get("weight", "1")
    return Share(
        name=queue["metadata"]["name"],
        cohort=spec.get("cohort", ""),
        quotas=dict(_quotas(spec)),
        weight=float(quantities.parse(weight)),
        strict=spec.get("queueingStrategy") == "StrictFIFO",
        stopped=spec.get("stopPolicy", "None") != "None",
        reclaims=(spec.get("preemption") or {}).get("reclaimWithinCohort") == "Any",
    )


def _quotas(spec: Doc) -> Iterator[tuple[str, Quota]]:
    for group in spec.get("resourceGroups") or ():
        flavor = group["flavors"][0]
        for one in flavor["resources"]:
            name = one["name"]
            limits = [_limit(one, field) for field in ("borrowingLimit", "lendingLimit")]
            yield name, Quota(flavor["name"], amount(name, one["nominalQuota"]), *limits)


def _limit(quota: Doc, field: str) -> int | None:
    return amount(quota["name"], quota[field]) if field in quota else None
