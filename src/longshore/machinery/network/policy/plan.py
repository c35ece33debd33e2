"""What the pods of one node let in and out, and what of that changes. Pure.

A pod is isolated in a direction by any policy of its namespace that selects it and is about that
direction; then what any such policy allows passes, and nothing else. What is always so besides (a
pod with itself, a node with its own pods, answers) is in the table that nft.py makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from longshore.machinery.network.policy.members import Group, Members, SelectorIndex, Turnover
from longshore.machinery.network.policy.model import (
    DIRECTIONS,
    Direction,
    Key,
    Match,
    Named,
    Numbers,
    Peers,
    Pod,
    Policy,
    Port,
)


class Side(NamedTuple):
    """What comes to, or goes from, one address."""

    direction: Direction
    ip: str


Allowed: TypeAlias = frozenset[Match]
"""All that an isolated side lets pass; empty: nothing."""

_ALL = Match(None, None)


@dataclass(frozen=True, slots=True)
class Change:
    """From one state of the kernel to the next; a side that is no longer isolated has None."""

    sides: Mapping[Side, Allowed | None]
    groups: Mapping[Group, Turnover]
    dropped: tuple[Group, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sides or self.groups or self.dropped)


class Book:
    """Policies, the pods of this node that they may select, and the pods that they may name.

    A change is noted where it is told, and costs what it touches: a pod, the policies that select
    it here and the groups in use that mean it; a policy, the pods here that it selects.
    """

    def __init__(self) -> None:
        self.members = Members()
        self._policies: dict[Key, Policy] = {}
        self._selecting: dict[str, SelectorIndex[Key]] = {}
        self._locals: dict[str, Pod] = {}
        self._owners: dict[str, str] = {}
        self._by_namespace: dict[str, set[str]] = {}
        self._dirty: set[str] = set()
        self._sides: dict[Side, Allowed] = {}
        self._before: dict[Side, Allowed | None] = {}
        self._uses: dict[Group, int] = {}
        self._unused: dict[Group, None] = {}

    # -- what it is told

    def policies(self) -> list[Key]:
        return list(self._policies)

    @property
    def has_policies(self) -> bool:
        return bool(self._policies)

    def put_policy(self, key: Key, policy: Policy | None) -> None:
        """A policy as it is now, None if it is gone."""
        before = self._policies.pop(key, None)
        index = self._selecting.setdefault(key[0], SelectorIndex())
        if before is not None:
            index.remove(key, before.pods)
        if policy is not None:
            self._policies[key] = policy
            index.add(key, policy.pods)
        if not index:
            del self._selecting[key[0]]
        if before != policy:
            self._mark_selected(key[0], [one for one in (before, policy) if one is not None])

    def put_pod(self, key: Key, pod: Pod | None) -> None:
        """A pod of any node as it is now, None if it is gone."""
        self.members.put_pod(key, pod)
        if pod is not None and (local := self._locals.get(pod.uid)) is not None:
            self._put_local(replace(pod, ip=local.ip))

    def put_local(self, pod: Pod, name: str) -> None:
        """A pod of this node, with the address that it has from now on."""
        known = self.members.pod((pod.namespace, name))
        same = known is not None and known.uid == pod.uid
        self._put_local(replace(known, ip=pod.ip) if known is not None and same else pod)

    def adopt(self, uid: str, ip: str) -> None:
        """A pod of this node of which nothing but the address is known yet: an earlier life of the
        agent left it. Where there are policies, nothing passes until more is known."""
        if uid not in self._locals:
            self._put_local(Pod(uid, "", {}, ip, frozenset()))

    def drop_local(self, uid: str) -> None:
        """A pod of this node gave its address back. Idempotent."""
        pod = self._locals.pop(uid, None)
        if pod is None:
            return
        self._by_namespace[pod.namespace].discard(uid)
        if not self._by_namespace[pod.namespace]:
            del self._by_namespace[pod.namespace]
        if self._owners.get(pod.ip) == uid:
            del self._owners[pod.ip]
            self._dirty.add(pod.ip)

    def _put_local(self, pod: Pod) -> None:
        if self._locals.get(pod.uid) == pod:
            return
        self.drop_local(pod.uid)
        self._locals[pod.uid] = pod
        self._owners[pod.ip] = pod.uid
        self._by_namespace.setdefault(pod.namespace, set()).add(pod.uid)
        self._dirty.add(pod.ip)

    def _mark_selected(self, namespace: str, policies: list[Policy]) -> None:
        for uid in self._by_namespace.get(namespace, ()):
            pod = self._locals[uid]
            if any(policy.pods.matches(pod.labels) for policy in policies):
                self._dirty.add(pod.ip)

    # -- what follows

    @property
    def names_pods(self) -> bool:
        """Whether anything that is in force here depends on pods of other nodes."""
        return bool(self._uses)

    def settle(self) -> bool:
        """Decide anew for who was touched; whether the kernel may have to hear of it."""
        fresh = {
            Side(direction, ip): self._allowed(ip, direction)
            for ip in self._dirty
            for direction in DIRECTIONS
        }
        self._dirty.clear()
        changed = {s: new for s, new in fresh.items() if self._sides.get(s) != new}
        for new in changed.values():
            self._use(new or frozenset(), 1)
        for side, new in changed.items():
            self._set_side(side, new)
        return bool(self._before)

    def take(self) -> Change:
        """All that changed since this was last asked."""
        self.settle()
        sides = {s: self._sides.get(s) for s, old in self._before.items()}
        sides = {s: new for s, new in sides.items() if new != self._before[s]}
        self._before = {}
        dropped, self._unused = tuple(self._unused), {}
        told = self.members.turnovers()
        fresh = {g for g in dropped if g in told and told[g].fresh}
        for group in dropped:
            del self._uses[group]
            self.members.drop(group)
            told.pop(group, None)
        return Change(sides, told, tuple(g for g in dropped if g not in fresh))

    def whole(self) -> Change:
        """Everything, for an empty table."""
        self.take()
        groups = {g: Turnover(set(self.members.elements(g)), set(), fresh=True) for g in self._uses}
        return Change(dict(self._sides), groups)

    def _set_side(self, side: Side, new: Allowed | None) -> None:
        old = self._sides.pop(side, None)
        self._before.setdefault(side, old)
        if new is not None:
            self._sides[side] = new
        self._use(old or frozenset(), -1)

    def _use(self, allowed: Allowed, by: int) -> None:
        for group in groups_of(allowed):
            if group not in self._uses:
                self._uses[group] = 0
                self.members.want(group)
            self._uses[group] += by
            if self._uses[group]:
                self._unused.pop(group, None)
            else:
                self._unused[group] = None

    def _allowed(self, ip: str, direction: Direction) -> Allowed | None:
        """None: not isolated, or nobody's."""
        uid = self._owners.get(ip)
        if uid is None:
            return None
        pod = self._locals[uid]
        if not pod.namespace:
            return frozenset()
        index = self._selecting.get(pod.namespace)
        if index is None:
            return None
        told = [self._policies[key].matches(direction) for key in index.matching(pod.labels)]
        in_force = [matches for matches in told if matches is not None]
        if not in_force:
            return None
        every = frozenset(
            resolved
            for matches in in_force
            for match in matches
            if (resolved := _resolved(match, pod, direction)) is not None
        )
        return frozenset((_ALL,)) if _ALL in every else every


def groups_of(allowed: Allowed) -> Iterator[Group]:
    """Every set of the kernel that a side looks into, once for each time."""
    for match in allowed:
        yield from (peer for peer in match.peers or () if isinstance(peer, Peers))
        yield from (port for port in match.ports or () if isinstance(port, Named))


def _resolved(match: Match, pod: Pod, direction: Direction) -> Match | None:
    """With the numbers that the pod itself has for names; None if it can match nothing."""
    ports = match.ports
    if ports is not None and direction == "ingress":
        ports = frozenset(number for port in ports for number in _numbers(port, pod))
    if ports == frozenset() or match.peers == frozenset():
        return None
    return match if ports == match.ports else Match(ports, match.peers)


def _numbers(port: Port, pod: Pod) -> Iterator[Numbers]:
    if isinstance(port, Numbers):
        yield port
        return
    for protocol, name, number in pod.ports:
        if (protocol, name) == (port.protocol, port.name):
            yield Numbers(protocol, number, number)
