"""Makes room for pods that no node takes: decides who goes, and keeps the nodes. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from longshore.base.clock import parse_rfc3339
from longshore.base.remembering import remembered
from longshore.core.objects.kinds import Doc
from longshore.core.objects.resizing import settled_generation
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.preemption.budgets import Budget, BudgetKey, Budgets
from longshore.machinery.scheduler.preemption.columns import Scene
from longshore.machinery.scheduler.preemption.nominations import Nominations
from longshore.machinery.scheduler.preemption.roster import NOT_STARTED, Resident, Roster
from longshore.machinery.scheduler.preemption.search import Asked, Found, Making, search
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.view.view import ClusterView

# Searches for the pods of one lot in one turn; who is left has its chance in the next.
SEARCHES_MAX = 8
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."


@dataclass(frozen=True, slots=True)
class Victim:
    """A pod that has to go, and for whom."""

    uid: str
    namespace: str
    name: str
    node: str
    preemptor: Pending


@dataclass(slots=True)
class Made:
    """nominated: pods with the nodes that are kept for them. displaced: pods of lower priority for
    which a node is kept no more. refused: pods with what is said of preemption. later: pods that
    have not had their chance. released: rows where something is kept no more."""

    nominated: list[tuple[Pending, str]] = field(default_factory=list)
    victims: list[Victim] = field(default_factory=list)
    displaced: list[Pending] = field(default_factory=list)
    refused: list[tuple[Pending, str]] = field(default_factory=list)
    later: list[Pending] = field(default_factory=list)
    released: set[int] = field(default_factory=set)

    def add(self, more: Made) -> None:
        """The same of others, but for those who are to have their chance yet."""
        self.nominated += more.nominated
        self.victims += more.victims
        self.displaced += more.displaced
        self.refused += more.refused
        self.released |= more.released

    def costs(self) -> list[int]:
        """Of those who had their chance, how many have to go for each; 0 if that was in vain."""
        gone = Counter(victim.preemptor.uid for victim in self.victims)
        return [gone[pod.uid] for pod, _ in (*self.nominated, *self.refused)]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """For whom nodes were kept, by uid, and what budgets allowed."""

    nodes: Mapping[str, str]
    budgets: Mapping[BudgetKey, Budget]


class RoomMaker:
    """Knows who is on which node, and for whom nodes are kept."""

    def __init__(self, view: ClusterView) -> None:
        self.budgets = Budgets()
        self._view = view
        self._roster = Roster()
        self.nominations = Nominations(view, self._roster)
        self._scene = Scene(view, self._roster)
        # Victims of whose end nothing has been heard yet.
        self._going: set[str] = set()

    def known_class(self, uid: str, pod: Doc) -> PodClass | None:
        """The class of a pod on its node, if nothing changed that it depends on: most news of pods
        are of their status."""
        known, metadata = self._roster.get(uid), pod["metadata"]
        if known is None or known.node != pod["spec"]["nodeName"]:
            return None
        kin = known.pod_class.kin
        same = (
            known.generation is not None
            and known.generation == settled_generation(pod)
            and kin.leaving == ("deletionTimestamp" in metadata)
            and kin.labels == (metadata.get("labels") or {})
        )
        return known.pod_class if same else None

    def see(self, uid: str, pod: Doc, pod_class: PodClass) -> None:
        """Note a pod on its node."""
        metadata, spec = pod["metadata"], pod["spec"]
        start = (pod.get("status") or {}).get("startTime")
        resident = Resident(
            namespace=metadata["namespace"],
            name=metadata["name"],
            node=spec["nodeName"],
            pod_class=pod_class,
            priority=spec.get("priority") or 0,
            start=_seconds(start) if start else NOT_STARTED,
            free="deletionTimestamp" in metadata or uid in self._going,
            generation=settled_generation(pod),
        )
        self._roster.put(uid, resident)

    def assume(self, pods: Iterable[Pending], rows: Iterable[int]) -> None:
        """Note pods that were given nodes in this moment."""
        for pod, row in zip(pods, rows, strict=True):
            node = self._view.names[row]
            resident = Resident(
                pod.namespace, pod.name, node, pod.pod_class, pod.priority,
                generation=pod.generation,
            )  # fmt: skip
            self._roster.put(pod.uid, resident)

    def forget(self, uid: str) -> None:
        """A pod is on no node any more."""
        self._roster.drop(uid)
        self._going.discard(uid)

    def stays(self, uid: str) -> None:
        """A victim could not be removed."""
        self._going.discard(uid)

    def snapshot(self) -> Snapshot:
        """What undo() needs."""
        return Snapshot(self.nominations.nodes(), self.budgets.all())

    def undo(self, made: Made, before: Snapshot) -> None:
        """Nothing comes of what was made since a snapshot."""
        for pod, _ in made.nominated:
            self.nominations.release(pod.uid)
        for one in made.victims:
            self._spare(one.uid)
        for pod in made.displaced:
            if pod.uid in before.nodes:
                self.nominations.keep(pod, before.nodes[pod.uid])
        self.budgets.restore(before.budgets)

    def _spare(self, uid: str) -> None:
        resident = self._roster.get(uid)
        assert resident is not None, uid
        self._going.discard(uid)
        self._roster.put(uid, resident._replace(free=False))

    def expected(self, pods: Sequence[Pending]) -> dict[str, str]:
        """The nodes that are kept for some pods, by uid, while anybody is still leaving one of them."""
        kept = {pod.uid: self.nominations.node_of(pod.uid) for pod in pods}
        return kept if any(map(self._is_expecting, pods)) else {}

    def make(self, pods: Sequence[Pending], profile: Profile, rotation: int) -> Made:
        """Room for pods of one class and priority that no node takes as things are."""
        made = Made()
        left = [pod for pod in pods if self._may_preempt(pod, made)]
        for pod in left:
            row = self.nominations.release(pod.uid)
            if row is not None:
                made.released.add(row)
        for _ in range(SEARCHES_MAX):
            if not left:
                return made
            asked = Asked(left[0].pod_class, left[0].priority, len(left), rotation, profile)
            found = search(self._scene.look(), asked, self.budgets)
            if not found.makings:
                why = self._not_helpful(found)
                made.refused += [(pod, why) for pod in left]
                return made
            self._nominate(left, found.makings, made)
            left = left[len(found.makings) :]
        made.later += left
        return made

    def _may_preempt(self, pod: Pending, made: Made) -> bool:
        why = "" if pod.preempts else NEVER
        if not why and self._is_expecting(pod):
            why = TERMINATING
        if why:
            made.refused.append((pod, why))
        return not why

    def _is_expecting(self, pod: Pending) -> bool:
        """Whether somebody is still leaving the node that is kept for a pod."""
        node = self.nominations.node_of(pod.uid)
        here = (self._roster.get(uid) for uid in self._view.pods_on(node))
        return any(one is not None and one.free and one.priority < pod.priority for one in here)

    def _nominate(self, pods: Sequence[Pending], makings: Sequence[Making], made: Made) -> None:
        uids = self._roster.uids
        chosen = [(self._view.names[one.row], [uids[s] for s in one.victims]) for one in makings]
        for pod, (node, victims) in zip(pods, chosen, strict=False):
            for other in self.nominations.on(node):
                if other.priority < pod.priority:
                    self.nominations.release(other.uid)
                    made.displaced.append(other)
            self.nominations.keep(pod, node)
            made.nominated.append((pod, node))
            made.victims += [self._condemn(uid, node, pod) for uid in victims]

    def _condemn(self, uid: str, node: str, preemptor: Pending) -> Victim:
        resident = self._roster.get(uid)
        assert resident is not None, uid
        self._going.add(uid)
        self._roster.put(uid, resident._replace(free=True))
        self.budgets.spend(resident.pod_class.kin)
        return Victim(uid, resident.namespace, resident.name, node, preemptor)

    def _not_helpful(self, found: Found) -> str:
        """In the words of upstream's FitError."""
        total = int(self._view.alive.sum())
        counts = {**found.hurdles, NO_VICTIMS: found.without_victims}
        counts[NOT_HELPFUL] = total - found.weighed
        told = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items() if count))
        return f"0/{total} nodes are available: {told}."


@remembered(4096)
def _seconds(stamp: str) -> float:
    return parse_rfc3339(stamp)
