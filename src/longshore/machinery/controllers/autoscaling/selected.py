"""Which pods each autoscaler's target selects, and how they are, kept as pods change: a turn looks at these
alone, and decodes none of them."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Selector
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.autoscaling.pods import Pod
from longshore.machinery.controllers.common.watching import SelectorIndex

Key = tuple[str, str]
"""Namespace and name."""


class Selected:
    """The pods of autoscalers, by name. A pod's change costs nothing where no namesake of its
    namespace scales anything."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._index = SelectorIndex()
        self._pods: dict[Key, dict[str, Pod]] = {}
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
        for one in self._pods.pop(key, ()):
            self._set(namespace, one, self._scaled_by[namespace, one] - {name})
        self._count(namespace)
        if selector is not None:
            # A new question is asked of every pod of the namespace, once.
            self._pods[key] = {}
            self._count(namespace)
            for pod in self._cache.indexed(kinds.POD, "namespace", namespace):
                if selector.matches(pod["metadata"].get("labels")):
                    self._note(namespace, pod["metadata"]["name"], pod)

    def pods(self, key: Key) -> list[Pod]:
        """Those that an autoscaler's target selects."""
        return [*self._pods[key].values()]

    def rivals(self, key: Key) -> Sequence[str]:
        """The autoscalers that scale any of the same pods, itself among them, if there are any."""
        namespace, _ = key
        of_pods = (self._scaled_by[namespace, name] for name in self._pods[key])
        together = frozenset[str]().union(*of_pods)
        return sorted(together) if len(together) > 1 else ()

    def _note(self, namespace: str, name: str, doc: Doc | None) -> None:
        after = frozenset[str]()
        if doc is not None:
            after = frozenset(self._index.matching(namespace, doc["metadata"].get("labels")))
        for one in self._scaled_by.get((namespace, name), frozenset()) - after:
            del self._pods[namespace, one][name]
        if doc is not None and after:
            pod = Pod.of(doc)
            for one in after:
                self._pods[namespace, one][name] = pod
        self._set(namespace, name, after)

    def _set(self, namespace: str, pod: str, scaled_by: frozenset[str]) -> None:
        if scaled_by:
            self._scaled_by[namespace, pod] = scaled_by
        else:
            self._scaled_by.pop((namespace, pod), None)

    def _count(self, namespace: str) -> None:
        """How many autoscalers a namespace has."""
        count = sum(key[0] == namespace for key in self._pods)
        if count:
            self._in_namespace[namespace] = count
        else:
            self._in_namespace.pop(namespace, None)
