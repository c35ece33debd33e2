"""Which addresses are behind the selectors that policies name. Pure.

A selector in use has one set of addresses, however many policies name it alike. A pod that changes
is looked up by its labels among the selectors that could mean it; the others are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from longshore.core.objects.selectors import Selector
from longshore.machinery.network.policy.model import Key, Named, Peers, Pod

T = TypeVar("T")

Group: TypeAlias = Peers | Named
"""What a set of the kernel is about: pods, or all pods' ports of one name."""
Element: TypeAlias = str
"""As nftables writes it: "10.42.1.7", of a Named "10.42.1.7 . 8080"."""

_NO_LABELS: Mapping[str, str] = {}


class SelectorIndex(Generic[T]):
    """Things with a selector each, found by labels. A selector that asks for a value is filed under
    one such term, so only what could match is tried."""

    def __init__(self) -> None:
        self._filed: dict[tuple[str, str] | None, dict[T, Selector]] = {}

    def __bool__(self) -> bool:
        return bool(self._filed)

    def add(self, thing: T, selector: Selector) -> None:
        self._filed.setdefault(_term(selector), {})[thing] = selector

    def remove(self, thing: T, selector: Selector) -> None:
        """Idempotent."""
        under = self._filed.get(term := _term(selector), {})
        under.pop(thing, None)
        if not under:
            self._filed.pop(term, None)

    def matching(self, labels: Mapping[str, str]) -> Iterator[T]:
        """In no order."""
        for term in (None, *labels.items()):
            for thing, selector in self._filed.get(term, {}).items():
                if selector.matches(labels):
                    yield thing


def _term(selector: Selector) -> tuple[str, str] | None:
    return next(iter(selector.exact.items()), None)


@dataclass(slots=True)
class Turnover:
    """How a group differs from when that was last asked. fresh: it was not there then."""

    come: set[Element]
    gone: set[Element]
    fresh: bool = False


class Members:
    """Pods and namespaces of the cluster, and the groups in use with their elements."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, Pod]] = {}
        self._labels: dict[str, Mapping[str, str]] = {}
        # How many pods give a group an element: two may have one address for a moment.
        self._counts: dict[Group, dict[Element, int]] = {}
        self._by_labels: dict[Selector, set[Peers]] = {}
        # Which peers could mean the pods of a namespace; filed under the pods' labels.
        self._reaching: dict[str, SelectorIndex[Peers]] = {}
        self._turnovers: dict[Group, Turnover] = {}

    # -- what the cluster has

    def pods(self) -> list[Key]:
        return [(namespace, name) for namespace, pods in self._pods.items() for name in pods]

    def namespaces(self) -> list[str]:
        return list(self._labels)

    def pod(self, key: Key) -> Pod | None:
        return self._pods.get(key[0], {}).get(key[1])

    def put_pod(self, key: Key, pod: Pod | None) -> None:
        """A pod as it is now, None if it is gone."""
        namespace, name = key
        pods = self._pods.setdefault(namespace, {})
        before = pods.pop(name, None)
        if pod is not None:
            pods[name] = pod
        elif not pods:
            del self._pods[namespace]
        if before != pod:
            self._count_all(before, -1)
            self._count_all(pod, 1)

    def put_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """A namespace's labels as they are now, None if it is gone."""
        before, after = self._labels.get(name), labels
        if before == after:
            return
        had, has = self._wide(before), self._wide(after)
        for peers in had - has:
            self._leave(peers, name)
        if after is None:
            del self._labels[name]
        else:
            self._labels[name] = after
        for peers in has - had:
            self._reach(peers, name)

    def _wide(self, labels: Mapping[str, str] | None) -> set[Peers]:
        """The groups that mean a namespace with those labels by a selector."""
        if labels is None:
            return set()
        return {
            peers
            for selector, found in self._by_labels.items()
            if selector.matches(labels)
            for peers in found
        }

    # -- which groups are wanted

    def __contains__(self, group: Group) -> bool:
        return group in self._counts

    def want(self, group: Group) -> None:
        """Keep the elements of a group from now on."""
        self._counts[group] = {}
        self._turnovers[group] = Turnover(set(), set(), fresh=True)
        if isinstance(group, Named):
            for pods in self._pods.values():
                for pod in pods.values():
                    self._count_port(group, pod, 1)
            return
        if group.namespace:
            self._reach(group, group.namespace)
            return
        self._by_labels.setdefault(group.namespaces, set()).add(group)
        for namespace, labels in self._labels.items():
            if group.namespaces.matches(labels):
                self._reach(group, namespace)

    def drop(self, group: Group) -> None:
        """Forget a group."""
        del self._counts[group]
        self._turnovers.pop(group, None)
        if isinstance(group, Named):
            return
        for namespace in [group.namespace] if group.namespace else list(self._labels):
            self._unfile(group, namespace)
        if not group.namespace:
            self._by_labels[group.namespaces].discard(group)
            if not self._by_labels[group.namespaces]:
                del self._by_labels[group.namespaces]

    def elements(self, group: Group) -> frozenset[Element]:
        return frozenset(self._counts[group])

    def turnovers(self) -> dict[Group, Turnover]:
        """What changed since this was last asked."""
        taken, self._turnovers = self._turnovers, {}
        return {g: one for g, one in taken.items() if one.come or one.gone or one.fresh}

    # -- who is where

    def _reach(self, peers: Peers, namespace: str) -> None:
        index = self._reaching.setdefault(namespace, SelectorIndex())
        index.add(peers, peers.pods)
        self._count_namespace(peers, namespace, 1)

    def _leave(self, peers: Peers, namespace: str) -> None:
        self._unfile(peers, namespace)
        self._count_namespace(peers, namespace, -1)

    def _unfile(self, peers: Peers, namespace: str) -> None:
        if (index := self._reaching.get(namespace)) is not None:
            index.remove(peers, peers.pods)
            if not index:
                del self._reaching[namespace]

    def _count_namespace(self, peers: Peers, namespace: str, by: int) -> None:
        for pod in self._pods.get(namespace, {}).values():
            if pod.ip and peers.pods.matches(pod.labels):
                self._count(peers, pod.ip, by)

    def _count_all(self, pod: Pod | None, by: int) -> None:
        """Add a pod to, or take it from, every group that it is of."""
        if pod is None or not pod.ip:
            return
        if (index := self._reaching.get(pod.namespace)) is not None:
            for peers in index.matching(pod.labels):
                self._count(peers, pod.ip, by)
        for protocol, name, _ in pod.ports:
            named = Named(protocol, name)
            if named in self._counts:
                self._count_port(named, pod, by)

    def _count_port(self, named: Named, pod: Pod, by: int) -> None:
        if not pod.ip:
            return
        for protocol, name, number in pod.ports:
            if (protocol, name) == (named.protocol, named.name):
                self._count(named, f"{pod.ip} . {number}", by)

    def _count(self, group: Group, element: Element, by: int) -> None:
        counts = self._counts[group]
        before = counts.get(element, 0)
        if now := before + by:
            counts[element] = now
        else:
            del counts[element]
        if (before == 0) != (now == 0):
            self._note(group, element, there=now > 0)

    def _note(self, group: Group, element: Element, *, there: bool) -> None:
        turnover = self._turnovers.setdefault(group, Turnover(set(), set()))
        this, other = (turnover.come, turnover.gone) if there else (turnover.gone, turnover.come)
        if element in other:
            other.discard(element)
        else:
            this.add(element)
