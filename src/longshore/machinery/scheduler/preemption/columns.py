"""What a preemptor needs, as columns that pods' leaving changes. Pure.

Every rule that removing pods helps with is an amount: of a resource there must be so much; of what
it cannot be beside there must be none, so that each such pod that goes adds one to a column which
has to come up to zero. Of what it must be near, one has to stay: each that goes takes one away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from longshore.machinery.scheduler.pods.affinity import PodTerm, Role
from longshore.machinery.scheduler.pods.kin import Query
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pods.ports import ANY_ADDRESS, Port
from longshore.machinery.scheduler.pods.spread import Constraint, Spread
from longshore.machinery.scheduler.preemption.roster import Roster
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules import (
    inter_pod_affinity,
    node_ports,
    node_resources_fit,
    node_volume_limits,
    pod_topology_spread,
    volume_restrictions,
)  # fmt: skip
from longshore.machinery.scheduler.rules.table import RULES
from longshore.machinery.scheduler.view.columns import PODS, Amounts, Mask, Rows
from longshore.machinery.scheduler.view.view import ClusterView

# Rules whose objections columns tell of: those of others stand, whoever is removed.
_COUNTED = (
    "NodePorts", "NodeResourcesFit", "VolumeRestrictions", "NodeVolumeLimits", "PodTopologySpread",
    "InterPodAffinity",
)  # fmt: skip
_NOBODY: Counter[int] = Counter()
# What a row is short of that can never have enough.
_NEVER = -(1 << 40)


class Scene:
    """The cluster and who is where. at: the row of each slot of the roster, -1 for pods of nodes
    that are not there; look() brings it up to date."""

    def __init__(self, view: ClusterView, roster: Roster) -> None:
        self.view = view
        self.roster = roster
        self.at: Rows = np.zeros(0, np.intp)
        self._rows: Rows = np.zeros(0, np.intp)
        self._seen = (-1, -1)

    def look(self) -> Scene:
        """The scene as it is now."""
        self.roster.look()
        seen = (self.view.shape, self.roster.nodes.edition)
        if self._seen != seen:
            self._seen = seen
            self._rows = np.full(len(self.roster.nodes) + 1, -1, np.intp)
            for number, name in self.roster.nodes:
                self._rows[number] = self.view.rows.get(name, -1)
        vacant = self.roster.priority == Roster.VACANT
        self.at = np.where(vacant, -1, self._rows[self.roster.node])
        return self

    def count(self, per_class: Amounts) -> Amounts:
        """The sum over the residents of each row of an amount by class."""
        here = np.flatnonzero(self.at >= 0)
        found = np.zeros(self.view.size, np.int64)
        np.add.at(found, self.at[here], per_class[self.roster.kind[here]])
        return found


@dataclass(frozen=True, slots=True)
class Column:
    """room: what each row has beyond what the preemptor needs (negative: it is short). amounts: what
    a pod of each class gives back when it goes. reason: what is said of rows that stay short. wide:
    what happens on one row may change others."""

    room: Amounts
    amounts: Amounts
    reason: str
    wide: bool = False


def helped(view: ClusterView, pod_class: PodClass, profile: Profile) -> Mask:
    """The rows to which only rules object that pods' leaving could satisfy."""
    rows = view.alive.copy()
    for rule in RULES:
        for one in rule.filter(view, pod_class, profile) if rule.filter else ():
            if not one.resolvable or rule.name not in _COUNTED:
                rows &= ~one.rows
    return rows


def columns(scene: Scene, pod_class: PodClass, profile: Profile) -> list[Column] | None:
    """The columns that decide about a pod; None if no node has ever offered what it asks for."""
    wanted = node_resources_fit.wanted(scene.view, pod_class, profile)
    if wanted is None:
        return None
    names = {number: name for name, number in scene.view.resources.items()}
    found = [_resource(scene, number, names[number], amount) for number, amount in wanted]
    found += _ports(scene, pod_class)
    found += _claims(scene, pod_class)
    found += _attachments(scene, pod_class)
    found += _spread(scene, pod_class, profile)
    found += _apart(scene, pod_class)
    found += _near(scene, pod_class)
    return found


def _resource(scene: Scene, number: int, name: str, amount: int) -> Column:
    room = scene.view.free[number] - amount
    classes = scene.roster.classes
    if number == PODS:
        return Column(room, np.ones(len(classes), np.int64), node_resources_fit.TOO_MANY)
    return Column(room, classes.requests(name), f"Insufficient {name}")


def _ports(scene: Scene, pod_class: PodClass) -> Iterator[Column]:
    """One column: of pods that hold a port which is wanted."""
    if pod_class.ports:
        holds = _by_class(scene, lambda one: _clash(one.ports, pod_class.ports))
        yield Column(-scene.count(holds), holds, node_ports.REASON)


def _clash(one: Sequence[Port], other: Sequence[Port]) -> bool:
    return any(
        a[0] == b[0] and a[2] == b[2] and (a[1] == b[1] or ANY_ADDRESS in (a[1], b[1]))
        for a in one
        for b in other
    )


def _claims(scene: Scene, pod_class: PodClass) -> Iterator[Column]:
    """Claims that one pod at a time may use: nobody who does so anywhere may stay."""
    keys = set(volume_restrictions.alone(scene.view, pod_class))
    if keys:
        uses = _by_class(scene, lambda one: any(claim.key in keys for claim in one.claims))
        users = int(scene.count(uses).sum())
        yield Column(np.full(scene.view.size, -users), uses, volume_restrictions.TAKEN, wide=True)


def _attachments(scene: Scene, pod_class: PodClass) -> Iterator[Column]:
    """Volumes of each CSI driver that a node could take besides. One that several pods use is taken to
    stay, whoever goes."""
    volumes = scene.view.volumes
    for driver, keys in node_volume_limits.by_driver(scene.view, pod_class).items():
        spare = volumes.attachments.spare(driver, keys)
        if spare is not None:
            own = partial(_own_volumes, scene.view, driver, frozenset(keys))
            yield Column(spare, _by_class(scene, own), node_volume_limits.TOO_MANY)


def _own_volumes(view: ClusterView, driver: str, but: frozenset[str], one: PodClass) -> int:
    """How many volumes of a driver nobody else uses than a pod of a class."""
    users = view.volumes.users
    keys = node_volume_limits.by_driver(view, one).get(driver, ()) if one.claims else ()
    return sum(key not in but and users.get(key, _NOBODY).total() == 1 for key in keys)


def _spread(scene: Scene, pod_class: PodClass, profile: Profile) -> Iterator[Column]:
    """Hard constraints: how many more pods each domain could have beside the preemptor."""
    spread = pod_topology_spread.constraints_of(pod_class, profile)
    if spread is not None:
        for one in spread.hard:
            yield _evenness(scene, pod_class, one, spread)


def _evenness(scene: Scene, pod_class: PodClass, one: Constraint, spread: Spread) -> Column:
    view, topology = scene.view, scene.view.topology(one.topology_key)
    counted = pod_topology_spread.eligible(view, pod_class, one, spread.hard)
    pods = pod_topology_spread.pods_by_domain(view, pod_class, one, topology, counted)
    domains = topology.present(counted)
    least = int(pods[domains].min()) if len(domains) >= one.min_domains else 0
    slack = one.max_skew + least - one.counts_itself - pods[topology.of]
    room = np.where(topology.inside, slack, _NEVER)
    meant = _meant(scene, one.query if pod_class.spread is not None else pod_class.peers)
    return Column(room, meant, pod_topology_spread.UNEVEN, wide=True)


def _apart(scene: Scene, pod_class: PodClass) -> Iterator[Column]:
    """Required anti-affinity: of the preemptor, and of pods that are there. None of those meant may
    stay in the same domain."""
    for term in pod_class.affinity.apart if pod_class.affinity else ():
        yield _absent(scene, term, _meant(scene, term.query), inter_pod_affinity.NOT_APART)
    for term in scene.view.tallies.concerning(pod_class.kin):
        if term.role is Role.APART:
            carries = _by_class(scene, partial(_carries, term))
            yield _absent(scene, term, carries, inter_pod_affinity.NOT_WELCOME)


def _absent(scene: Scene, term: PodTerm, meant: Amounts, reason: str) -> Column:
    topology = scene.view.topology(term.topology_key)
    there = topology.shared(scene.count(meant))
    return Column(-there, meant, reason, wide=not topology.alone)


def _carries(term: PodTerm, one: PodClass) -> bool:
    return one.affinity is not None and term in one.affinity.apart


def _near(scene: Scene, pod_class: PodClass) -> Iterator[Column]:
    """Required affinity: one of the pods meant has to stay, unless there is none anywhere, so that
    the preemptor begins."""
    affinity = pod_class.affinity
    if affinity is None or affinity.near_all is None:
        return
    if not scene.view.counts(affinity.near_all).rows:
        return
    meant = _meant(scene, affinity.near_all)
    for term in affinity.near:
        topology = scene.view.topology(term.topology_key)
        there = topology.shared(scene.count(meant))
        yield Column(there - 1, -meant, inter_pod_affinity.NOT_NEAR, wide=True)


def _meant(scene: Scene, query: Query | None) -> Amounts:
    """1 for the classes of pods that a query means."""
    if query is None:
        return np.zeros(len(scene.roster.classes), np.int64)
    namespaces = scene.view.tallies.namespaces
    return _by_class(scene, lambda one: query.matches(one.kin, namespaces))


def _by_class(scene: Scene, asked: Callable[[PodClass], int]) -> Amounts:
    """A number for each class, by its own: 1 where something is true of it."""
    found = np.zeros(len(scene.roster.classes), np.int64)
    for number, one in scene.roster.classes:
        found[number] = asked(one)
    return found
