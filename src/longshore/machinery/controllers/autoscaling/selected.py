"""Which pods each autoscaler's target selects, and how they are, kept as pods change: a turn looks at these
alone, and decodes none of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Selector
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.autoscaling.pods import Pod
from longshore.machinery.controllers.common.watching import Orphans, SelectorIndex

Key = tuple[str, str]
"""Namespace and name."""


class Selected:
    """The pods of autoscalers. A pod's change costs nothing in a namespace that has none; the first one
    of a namespace looks at all its pods, once."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._index = SelectorIndex()
        self._labelled = Orphans()
        self._pods: dict[Key, dict[str, Pod]] = {}
        self._scaled_by: dict[Key, frozenset[str]] = {}
        self._in_namespace = Counter[str]()

    def hear(self, namespace: str, name: str) -> None:
        """A pod has changed."""
        if namespace not in self._in_namespace:
            return
        # As it is now: the books never go back to what a late event tells.
        doc = self._cache.get(kinds.POD, namespace, name)
        gone = {"metadata": {"namespace": namespace, "name": name}}
        self._labelled.note(doc or gone, orphan=doc is not None)
        self._note(namespace, name, doc)

    def put(self, key: Key, selector: Selector | None) -> None:
        """Set what an autoscaler's target selects; None: it is gone, or has no target."""
        namespace, name = key
        if not self._index.put(namespace, name, selector):
            return
        before = self._pods.pop(key, None)
        for one in before or ():
            self._set(namespace, one, self._scaled_by[namespace, one] - {name})
        self._count(namespace, (selector is not None) - (before is not None))
        if selector is not None:
            self._pods[key] = {}
            for one in self._labelled.of(namespace, selector):
                self._note(namespace, one, self._cache.get(kinds.POD, namespace, one))

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

    def _count(self, namespace: str, more: int) -> None:
        """Pods are known by their labels where there are autoscalers."""
        before = self._in_namespace[namespace]
        self._in_namespace[namespace] = after = before + more
        if bool(before) != bool(after):
            for pod in self._cache.indexed(kinds.POD, "namespace", namespace):
                self._labelled.note(pod, orphan=after > 0)
        if not after:
            del self._in_namespace[namespace]
