"""What the pods of each node refer to: kept up by the pods' changes, for nodes that have asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.permission.references import CLAIMS, pod_references
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored

Reference = tuple[str, str, str]
"""Resource, namespace, name."""


class NodeNeeds:
    """What is referred to, by node."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._nodes: dict[str, _Needs] = {}

    def applied(self, frame: Frame) -> None:
        """A pod changed."""
        if not self._nodes:
            return
        before, after = _node(frame.before), _node(frame.stored)
        if before is not None and (before != after or frame.type == "DELETED"):
            self._forget(before, frame.stored.key)
        needs = self._nodes.get(after or "")
        if needs is not None and frame.type != "DELETED":
            needs.put(frame.stored.key, frame.doc)

    def needed(self, node: str, reference: Reference) -> bool:
        """Whether a pod of the node refers to that."""
        needs = self._of(node)
        return needs is not None and needs.counts[reference] > 0

    def claims(self, node: str) -> Iterator[tuple[str, str]]:
        """Namespace and name of the claims that pods of the node refer to."""
        needs = self._of(node)
        if needs is not None:
            yield from (
                (r[1], r[2]) for r, count in needs.counts.items() if r[0] == CLAIMS and count
            )

    def _of(self, node: str) -> _Needs | None:
        """None for a node without pods, of which nothing is kept."""
        needs = self._nodes.get(node)
        if needs is None:
            pods = list(self._cache.shelf(kinds.POD).found(("node", node))) if node else []
            if not pods:
                return None
            needs = self._nodes[node] = _Needs()
            for stored in pods:
                needs.put(stored.key, stored.doc)
        return needs

    def _forget(self, node: str, key: str) -> None:
        needs = self._nodes.get(node)
        if needs is not None and needs.drop(key):
            del self._nodes[node]


class _Needs:
    """What one node's pods refer to, and how many of them do."""

    def __init__(self) -> None:
        self.counts: Counter[Reference] = Counter()
        self._by_pod: dict[str, frozenset[Reference]] = {}

    def put(self, key: str, pod: Doc) -> None:
        before, after = self._by_pod.get(key, frozenset()), pod_references(pod)
        self._by_pod[key] = after
        if before != after:
            self.counts.update(after)
            self._less(before)

    def drop(self, key: str) -> bool:
        """Whether that was the last pod."""
        self._less(self._by_pod.pop(key, frozenset()))
        return not self._by_pod

    def _less(self, gone: frozenset[Reference]) -> None:
        for reference in gone:
            self.counts[reference] -= 1
            if self.counts[reference] <= 0:
                del self.counts[reference]


def _node(stored: Stored | None) -> str | None:
    """The node that a pod is on, from the index: no need to decode."""
    if stored is None:
        return None
    return next((value for name, value in stored.terms if name == "node" and value), None)
