"""Placing many pods of a class at once.

A row's places form a column: the score of its next pod, of the one after, and so on, never rising; so
the best places of all columns together are what one-at-a-time placement would choose, up to how
scores are normalised. Before, domains that pods are spread over are filled to one level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from longshore.machinery.scheduler.exact import suits
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.pods.affinity import Role
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pods.spread import Constraint, Spread
from longshore.machinery.scheduler.profile import HOSTNAME, SYSTEM_SPREADING, Profile, Strategy
from longshore.machinery.scheduler.rules import node_resources_fit, pod_topology_spread, table
from longshore.machinery.scheduler.rules.pod_topology_spread import constraints_of, pods_by_domain
from longshore.machinery.scheduler.view.columns import Amounts, Rows, Scores
from longshore.machinery.scheduler.view.topologies import Topology
from longshore.machinery.scheduler.view.view import ClusterView

SPREADING = "PodTopologySpread"
SPREAD_WEIGHT = 2.0
NO_SPREAD = Spread((), ())


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Rows that take at least one pod; room is for how many. wish: what other rules than those by
    load give. peers: the pods already there that they are to keep away from, None if it does not
    matter."""

    rows: Rows
    room: Amounts
    wish: Scores
    peers: Amounts | None

    def part(self, at: Rows) -> Places:
        peers = None if self.peers is None else self.peers[at]
        return Places(self.rows[at], self.room[at], self.wish[at], peers)


def can_batch(view: ClusterView, pod_class: PodClass, profile: Profile) -> bool:
    """Whether the pods of a class matter to one another only in ways that many() knows."""
    if profile.strategy is not Strategy.LEAST:
        return False
    if pod_class.siblings is not None or profile.affinity_labels or profile.anti_affinity_labels:
        return False
    spread = constraints_of(pod_class, profile) or NO_SPREAD
    if sum(one.counts_itself for one in spread.hard) > 1:
        return False
    for term in pod_class.affinity or ():
        if not term.query.matches(pod_class.kin, view.tallies.namespaces):
            continue
        if term.role is Role.WISH:
            return False
        if term.role is Role.APART and not view.topology(term.topology_key).alone:
            return False
    return True


def many(view: ClusterView, pod_class: PodClass, count: int, memo: Memo) -> list[int]:
    """Rows for up to count pods of a class that can_batch() allows; not always for as many as there
    is room for."""
    batch = _Batch(view, pod_class, memo)
    return batch.rows_for(count) if len(batch.places.rows) else []


class _Batch:
    def __init__(self, view: ClusterView, pod_class: PodClass, memo: Memo) -> None:
        self._view, self._class, self._profile = view, pod_class, memo.profile
        self._spread = constraints_of(pod_class, memo.profile) or NO_SPREAD
        self._fill = memo.fills.of(view, pod_class)
        self.places = self._find_places(memo)
        self._peer_cost = 0.0

    def rows_for(self, count: int) -> list[int]:
        self._peer_cost = self._cost_of_a_peer(count)
        hard = next((one for one in self._spread.hard if one.counts_itself), None)
        if hard is not None:
            return self._spread_hard(hard, count)
        count = min(count, int(self.places.room.sum()))
        soft = next((one for one in self._spread.soft if one.topology_key != HOSTNAME), None)
        if soft is None or not soft.counts_itself:
            return self._best(self.places, count)
        topology = self._view.topology(soft.topology_key)
        if not topology.inside[self.places.rows].any():
            return self._best(self.places, count)
        counted = pod_topology_spread.eligible(self._view, self._class, soft, ())
        levels = pods_by_domain(self._view, self._class, soft, topology, counted)
        room = self._room_in(topology)
        if self._spread is not SYSTEM_SPREADING:
            # Rows outside score nothing: they are for whom all others have no room.
            room[0] = 0
        return self._level(topology, levels, room, count)

    def _find_places(self, memo: Memo) -> Places:
        view, pod_class = self._view, self._class
        mask = suits(view, pod_class, memo)
        room = node_resources_fit.room(view, pod_class, self._profile)
        if mask is not None:
            room = room * mask
        if pod_class.ports or self._keeps_apart():
            room = np.minimum(room, 1)
        rows = np.flatnonzero(room)
        wish = table.wishes(view, pod_class, room > 0, self._profile, but=SPREADING)
        peers = self._peers()
        return Places(
            rows=rows,
            room=room[rows],
            wish=np.zeros(len(rows)) if wish is None else wish[rows],
            peers=None if peers is None else peers[rows],
        )

    def _keeps_apart(self) -> bool:
        """Whether no two of the class can be on one node."""
        affinity, namespaces = self._class.affinity, self._view.tallies.namespaces
        terms = affinity.apart if affinity is not None else ()
        return any(one.query.matches(self._class.kin, namespaces) for one in terms)

    def _peers(self) -> Amounts | None:
        """The pods on each row that a soft constraint by host keeps the class away from."""
        host = next((one for one in self._spread.soft if one.topology_key == HOSTNAME), None)
        if host is None or not host.counts_itself:
            return None
        query = pod_topology_spread.query_of(self._class, host)
        if query is None:
            return np.zeros(self._view.size, np.int64)
        return self._view.column(self._view.counts(query))

    def _cost_of_a_peer(self, count: int) -> float:
        """What one more peer on a host takes from its score, as scores will be normalised once so
        many pods are placed. One cost for all of them keeps the columns independent."""
        most = sum(self._crowding(one, count) for one in self._spread.soft)
        if self.places.peers is None or not most:
            return 0.0
        weight = self._profile.weights.get(SPREADING, SPREAD_WEIGHT)
        return weight * 100.0 * log(len(self.places.rows) + 2.0) / most

    def _crowding(self, one: Constraint, count: int) -> float:
        """What a constraint will about add to the crowding of the fullest places."""
        topology = self._view.topology(one.topology_key)
        counted = pod_topology_spread.eligible(self._view, self._class, one, ())
        pods = pods_by_domain(self._view, self._class, one, topology, counted)
        there = pods[topology.present(self.places.rows)]
        if not len(there):
            return 0.0
        coming = count if one.counts_itself else 0
        level = max(int(there.max()), -(-(int(there.sum()) + coming) // len(there)))
        return level * log(len(there) + 2.0) + one.max_skew - 1

    def _spread_hard(self, hard: Constraint, count: int) -> list[int]:
        """Domains are filled from the lowest level up, no further than max_skew above what the
        lowest can reach: in that order each pod is allowed where it goes."""
        topology = self._view.topology(hard.topology_key)
        counted = pod_topology_spread.eligible(self._view, self._class, hard, self._spread.hard)
        levels = pods_by_domain(self._view, self._class, hard, topology, counted)
        room = self._room_in(topology)
        domains = topology.present(counted)
        enough = len(domains) >= hard.min_domains
        least = int((levels + room)[domains].min()) if enough else 0
        room = np.clip(least + hard.max_skew - levels, 0, room)
        return self._level(topology, levels, room, count)

    def _room_in(self, topology: Topology) -> Amounts:
        """The room in every domain, by number."""
        domains, room = topology.of[self.places.rows], self.places.room
        return np.bincount(domains, weights=room, minlength=topology.count + 1).astype(np.int64)

    def _level(self, topology: Topology, levels: Amounts, room: Amounts, count: int) -> list[int]:
        """Bring domains with room to one level, in each of them by the best places."""
        numbers = np.flatnonzero(room)
        if not len(numbers):
            return []
        domains = topology.of[self.places.rows]
        if topology.alone and not room[0]:
            return self._level_rows(domains, levels, room, count)
        shares = water_fill(levels[numbers], room[numbers], min(count, int(room.sum())))
        found: list[int] = []
        for number, share in zip(numbers.tolist(), shares.tolist(), strict=True):
            if share:
                found += self._best(self.places.part(np.flatnonzero(domains == number)), share)
        return found

    def _level_rows(self, domains: Rows, levels: Amounts, room: Amounts, count: int) -> list[int]:
        """Where every row is a domain of its own: bring them to one level, the best first."""
        order = np.argsort(-self._next(self.places), kind="stable")
        mine = domains[order]
        shares = water_fill(levels[mine], room[mine], min(count, int(room[mine].sum())))
        rows: list[int] = np.repeat(self.places.rows[order], shares).tolist()
        return rows

    def _next(self, places: Places) -> Scores:
        """The score of the next place on each row."""
        scores = self._fill.scores[places.rows] + places.wish
        return scores if places.peers is None else scores - self._peer_cost * places.peers

    def _best(self, places: Places, count: int) -> list[int]:
        """The count best places of some rows, which have room for as many."""
        if 0 < count < len(places.rows):
            # Columns never rise: none but the rows with the best next places matter.
            places = places.part(np.argpartition(-self._next(places), count - 1)[:count])
        layers = min(2 * count // len(places.rows) + 2, count)
        while count > 0:
            taken = self._taken(places, layers, count)
            cut_short = (taken == layers) & (places.room > layers)
            if layers == count or (taken.sum() == count and not cut_short.any()):
                rows: list[int] = np.repeat(places.rows, taken).tolist()
                return rows
            layers = min(2 * layers, count)
        return []

    def _taken(self, places: Places, layers: int, count: int) -> Amounts:
        """How many of the count best places within some layers each row has."""
        depth = np.arange(layers, dtype=np.float64)[:, np.newaxis]
        scores = self._fill.at(self._view, places.rows, depth + 1.0) + places.wish
        if places.peers is not None:
            scores = scores - self._peer_cost * (places.peers + depth)
        scores = np.minimum.accumulate(scores, axis=0)
        scores[depth >= places.room] = -np.inf
        open_places = int(np.minimum(places.room, layers).sum())
        if open_places <= count:
            return np.minimum(places.room, layers)
        best = np.argpartition(scores, scores.size - count, axis=None)[scores.size - count :]
        return np.bincount(best % len(places.rows), minlength=len(places.rows))


def water_fill(levels: Amounts, room: Amounts, count: int) -> Amounts:
    """Pour count units so that levels end as even as their room allows: what each gets.
    count must not be more than all room together."""
    assert count <= room.sum()
    low, high = int(levels.min()), int((levels + room).max())
    while low < high:
        level = (low + high + 1) // 2
        if np.clip(level - levels, 0, room).sum() <= count:
            low = level
        else:
            high = level - 1
    poured = np.clip(low - levels, 0, room)
    left = count - int(poured.sum())
    takers = np.flatnonzero((poured < room) & (levels + poured <= low))[:left]
    poured[takers] += 1
    return poured
