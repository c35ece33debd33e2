"""Which pods each autoscaler's target selects, kept as pods change: a sync looks at these alone."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Selector
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.common.watching import SelectorIndex

Key = tuple[str, str]
"""Namespace and name."""


class Selected:
    """The pods of autoscalers, by name. A pod's change costs nothing where no namesake of its
    namespace scales anything."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._index = SelectorIndex()
        self._names: dict[Key, set[str]] = {}
        self._scaled_by: dict[Key, frozenset[str]] = {}
        self._in_namespace: dict[str, int] = {}

    def hear(self, namespace: str, name: str) -> None:
        """A pod has changed."""
        if namespace not in self._in_namespace:
            return
        # As it is now: the books never go back to what a late event tells.
        self._note(namespace, name, self._cache.get(kinds.POD, namespace, name))

    def put(self, key: Key, selector: Selector | None) -> None:
        """Set what an autoscaler's target selects; None: it is gone, or has no target."""
        namespace, name = key
        if not self._index.put(namespace, name, selector):
            return
        for one in self._names.pop(key, ()):
            self._set(namespace, one, self._scaled_by[namespace, one] - {name})
        self._count(namespace)
        if selector is not None:
            # A new question is asked of every pod of the namespace, once.
            self._names[key] = set()
            self._count(namespace)
            for pod in self._cache.indexed(kinds.POD, "namespace", namespace):
                if selector.matches(pod["metadata"].get("labels")):
                    self._note(namespace, pod["metadata"]["name"], pod)

    def pods(self, key: Key) -> list[Doc]:
        """Those that an autoscaler's target selects, by name."""
        found = (self._cache.get(kinds.POD, key[0], name) for name in sorted(self._names[key]))
        return [pod for pod in found if pod is not None]

    def rivals(self, key: Key) -> Sequence[str]:
        """The autoscalers that scale any of the same pods, itself among them, if there are any."""
        namespace, _ = key
        of_pods = (self._scaled_by[namespace, name] for name in self._names[key])
        together = frozenset[str]().union(*of_pods)
        return sorted(together) if len(together) > 1 else ()

    def _note(self, namespace: str, name: str, pod: Doc | None) -> None:
        labels = None if pod is None else pod["metadata"].get("labels")
        after = frozenset[str]()
        if pod is not None:
            after = frozenset(self._index.matching(namespace, labels))
        before = self._scaled_by.get((namespace, name), frozenset())
        for one in before - after:
            self._names[namespace, one].discard(name)
        for one in after - before:
            self._names[namespace, one].add(name)
        self._set(namespace, name, after)

    def _set(self, namespace: str, pod: str, scaled_by: frozenset[str]) -> None:
        if scaled_by:
            self._scaled_by[namespace, pod] = scaled_by
        else:
            self._scaled_by.pop((namespace, pod), None)

    def _count(self, namespace: str) -> None:
        """How many autoscalers a namespace has."""
        count = sum(key[0] == namespace for key in self._names)
        if count:
            self._in_namespace[namespace] = count
        else:
            self._in_namespace.pop(namespace, None)
