"""The queues as they stand: who waits in which, who was admitted, and what that uses. No I/O.

What is admitted as a whole is a pod, or the pods of a gang. An admitted pod uses its quota until it
ends, whether it has a node by then or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from longshore.core.objects.kinds import Doc
from longshore.core.objects.offers import Amounts
from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.queues.plan import Line, LotKey, Workload, admit, reclaim
from longshore.machinery.scheduler.queues.quota import Cohort
from longshore.machinery.scheduler.queues.settings import Local, Settings


@dataclass(slots=True)
class Unit:
    """What is admitted as a whole. pods: those that came without a node, by uid; names and amounts:
    of all that are not over. workload.queue is empty as long as its queue does not lead anywhere."""

    local: Local
    workload: Workload
    pods: dict[str, Pending]
    names: dict[str, str]
    amounts: dict[str, Amounts]
    is_admitted: bool = False


@dataclass(slots=True)
class Tally:
    """Of a LocalQueue: how many units wait and are admitted, and what these use."""

    pending: int = 0
    admitted: int = 0
    used: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Decided:
    """admitted: pods that may have a node now. told: pods that wait, and why. victims: units that
    have to end, each with the ClusterQueue that takes its quota back."""

    admitted: list[Pending] = field(default_factory=list)
    told: list[tuple[Pending, str]] = field(default_factory=list)
    victims: list[tuple[Unit, str]] = field(default_factory=list)


class Queues:
    """labels_of tells a namespace's labels."""

    def __init__(self, labels_of: Callable[[str], Mapping[str, str]]) -> None:
        self.settings = Settings(labels_of)
        self.tallies: dict[Local, Tally] = {}
        self._cohorts: dict[str, Cohort] = {}
        self._units: dict[str, Unit] = {}
        self._unit_of: dict[str, str] = {}
        self._lines: dict[str, Line] = {}
        # Units that nobody was told of yet, by where they wait; why those wait that have no queue.
        self._untold: dict[tuple[str, LotKey], dict[str, None]] = {}
        self._lost: dict[str, str] = {}
        # Cohorts in which something may have become possible, and victims that are not gone yet.
        self._dirty: dict[int, Cohort] = {}
        self._leaving: dict[str, Cohort] = {}
        self._admissions = self._keys = 0
        # Whether there is news for reports; who reports takes it back.
        self.is_changed = True

    def __contains__(self, uid: str) -> bool:
        return uid in self._unit_of

    # --- hearing

    def get(self, uid: str) -> Pending | None:
        """A pod that waits to be admitted."""
        unit = self._units.get(self._unit_of.get(uid, ""))
        return None if unit is None or unit.is_admitted else unit.pods.get(uid)

    def is_admitted(self, uid: str) -> bool:
        unit = self._units.get(self._unit_of.get(uid, ""))
        return unit is not None and unit.is_admitted

    def hear_local(self, queue: Doc, *, gone: bool) -> None:
        if self.settings.put_local(queue, gone=gone):
            self._reconsider()

    def hear_queue(self, queue: Doc, *, gone: bool) -> None:
        if self.settings.put_queue(queue, gone=gone):
            self._reconsider()

    def hear_namespace(self, name: str) -> None:
        """The labels of a namespace are others now."""
        if any(local.namespace == name for local in self.tallies):
            self._reconsider()

    def _reconsider(self) -> None:
        """All units find their place anew."""
        self.is_changed = True
        self._cohorts = self.settings.cohorts()
        for one in (self._lines, self._untold, self._lost, self._dirty):
            one.clear()
        self._dirty = {id(cohort): cohort for cohort in self._cohorts.values()}
        self._leaving = {
            uid: self._cohorts[queue]
            for uid in self._leaving
            if (queue := self._units[self._unit_of[uid]].workload.queue) in self._cohorts
        }
        for unit in self._units.values():
            self._find_place(unit)

    def enter(self, pods: Mapping[str, Pending], local: Local, of: Mapping[str, Amounts]) -> None:
        """Pods that are to be admitted together have come; of: what each takes, by uid."""
        first = next(iter(pods.values()))
        workload = Workload(self._key(), "", _sum(of), first.priority, first.order)
        names = {uid: pod.name for uid, pod in pods.items()}
        self._note(Unit(local, workload, dict(pods), names, dict(of)))

    def place(self, uid: str, name: str, local: Local, amounts: Amounts) -> None:
        """A pod has a node: it counts, whoever admitted it."""
        unit = self._units.get(self._unit_of.get(uid, ""))
        if unit is not None and unit.is_admitted:
            return
        if unit is not None:
            self.forget(uid)
        self._admissions += 1
        workload = Workload(self._key(), "", amounts, 0, self._admissions)
        self._note(Unit(local, workload, {}, {uid: name}, {uid: amounts}, is_admitted=True))

    def forget(self, uid: str) -> None:
        """A pod is gone, or over."""
        unit = self._units.get(self._unit_of.pop(uid, ""))
        if unit is None:
            return
        self._remove(unit)
        unit.pods.pop(uid, None)
        del unit.amounts[uid], unit.names[uid]
        cohort = self._leaving.pop(uid, None)
        if cohort is not None:
            self._dirty[id(cohort)] = cohort
        if unit.amounts:
            unit.workload = replace(unit.workload, amounts=_sum(unit.amounts))
            self._note(unit)

    def _key(self) -> str:
        self._keys += 1
        return str(self._keys)

    def _note(self, unit: Unit) -> None:
        self._units[unit.workload.key] = unit
        self._unit_of.update(dict.fromkeys(unit.amounts, unit.workload.key))
        self._tally(unit, 1)
        self._find_place(unit)

    def _find_place(self, unit: Unit) -> None:
        queue, why = self.settings.leads_to(unit.local)
        unit.workload = one = replace(unit.workload, queue=queue)
        if why:
            if not unit.is_admitted:
                self._lost[one.key] = why
            return
        cohort = self._cohorts[queue]
        self._dirty[id(cohort)] = cohort
        if unit.is_admitted:
            cohort.use(queue, one.amounts)
        else:
            self._lines.setdefault(queue, Line()).add(one)
            self._untold.setdefault((queue, one.lot), {})[one.key] = None

    def _remove(self, unit: Unit) -> None:
        one = unit.workload
        del self._units[one.key]
        self._tally(unit, -1)
        self._lost.pop(one.key, None)
        if not one.queue:
            return
        cohort = self._cohorts[one.queue]
        self._dirty[id(cohort)] = cohort
        if unit.is_admitted:
            cohort.use(one.queue, one.amounts, -1)
        else:
            self._lines[one.queue].remove(one)
            self._untold.get((one.queue, one.lot), {}).pop(one.key, None)

    def _tally(self, unit: Unit, sign: int) -> None:
        self.is_changed = True
        tally = self.tallies.setdefault(unit.local, Tally())
        if unit.is_admitted:
            tally.admitted += sign
            for name, value in unit.workload.amounts.items():
                tally.used[name] += sign * value
        else:
            tally.pending += sign
        if not (tally.admitted or tally.pending):
            del self.tallies[unit.local]

    # --- deciding

    def has_work(self) -> bool:
        return bool(self._dirty or self._lost)

    def lost(self) -> list[tuple[Pending, str]]:
        """Pods whose queue does not lead anywhere, and why; said once."""
        lost, self._lost = self._lost, {}
        return [(pod, why) for key, why in lost.items() for pod in self._units[key].pods.values()]

    def due(self) -> list[Cohort]:
        """Those in which something may have become possible."""
        return list(self._dirty.values())

    def decide(self, cohort: Cohort, most: int) -> Decided:
        """Admit what fits, up to so many units; who waits is told why, once."""
        decided = Decided()
        # At first: should it make trouble, it does so once for each change.
        self._dirty.pop(id(cohort), None)
        lines = {name: self._lines[name] for name in cohort.shares if self._lines.get(name)}
        found = admit(cohort, lines, most)
        for one in found.admitted:
            self._admit(self._units[one.key], decided)
        if len(found.admitted) == most:
            self._dirty[id(cohort)] = cohort
        for where, why in found.waiting.items():
            for key in self._untold.pop(where, {}):
                decided.told += [(pod, why) for pod in self._units[key].pods.values()]
        if not any(one is cohort for one in self._leaving.values()):
            self._take_back(cohort, [self._first(*where) for where in found.waiting], decided)
        return decided

    def stays(self, uid: str) -> None:
        """A victim could not be removed: whoever was to have its quota may take it from others."""
        cohort = self._leaving.pop(uid, None)
        if cohort is not None:
            self._dirty[id(cohort)] = cohort

    def _admit(self, unit: Unit, decided: Decided) -> None:
        """It is used in the cohort already."""
        one = unit.workload
        self._lines[one.queue].remove(one)
        self._untold.get((one.queue, one.lot), {}).pop(one.key, None)
        self._tally(unit, -1)
        self._admissions += 1
        unit.is_admitted = True
        unit.workload = replace(one, order=self._admissions)
        self._tally(unit, 1)
        decided.admitted += unit.pods.values()

    def _first(self, queue: str, lot: LotKey) -> Workload:
        return next(iter(self._lines[queue].lots[lot].values()))

    def _take_back(self, cohort: Cohort, waiting: list[Workload], decided: Decided) -> None:
        """For the first whose quota is lent, if there is one: the next comes when that is done."""
        own = [one for one in waiting if _may_reclaim(cohort, one)]
        if not own:
            return
        members = [
            unit.workload
            for unit in self._units.values()
            if unit.is_admitted and unit.workload.queue in cohort.shares
        ]
        for one in sorted(own, key=lambda one: one.rank):
            victims = reclaim(cohort, one, members)
            for victim in victims:
                unit = self._units[victim.key]
                self._leaving.update(dict.fromkeys(unit.amounts, cohort))
                decided.victims.append((unit, one.queue))
            if victims:
                return


def _may_reclaim(cohort: Cohort, one: Workload) -> bool:
    return cohort.shares[one.queue].reclaims and cohort.is_own(one.queue, one.amounts)


def _sum(of: Mapping[str, Amounts]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for amounts in of.values():
        total.update(amounts)
    return dict(total)
