"""Which owners select an object: an index of selectors, so that no change asks every owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Selector

# Selectors without one plain key=value are asked for every object of their namespace.
_ANY = ("", "")


class SelectorIndex:
    """Names of owners by namespace, found by the labels of what they select."""

    def __init__(self) -> None:
        self._selectors: dict[tuple[str, str], Selector] = {}
        self._by_term: dict[tuple[str, tuple[str, str]], set[str]] = {}

    def get(self, namespace: str, name: str) -> Selector | None:
        return self._selectors.get((namespace, name))

    def put(self, namespace: str, name: str, selector: Selector | None) -> bool:
        """Set an owner's selector (None removes it); whether that changed anything."""
        before = self._selectors.get((namespace, name))
        if before == selector:
            return False
        if before is not None:
            del self._selectors[namespace, name]
            self._terms(namespace, before).discard(name)
        if selector is not None:
            self._selectors[namespace, name] = selector
            self._terms(namespace, selector).add(name)
        return True

    def matching(self, namespace: str, labels: Mapping[str, str] | None) -> list[str]:
        """The owners in a namespace whose selectors match."""
        found = self._by_term.get((namespace, _ANY), set())
        for item in (labels or {}).items():
            found = found | self._by_term.get((namespace, item), set())
        return [name for name in found if self._selectors[namespace, name].matches(labels)]

    def _terms(self, namespace: str, selector: Selector) -> set[str]:
        term = next(iter(selector.exact.items()), _ANY)
        return self._by_term.setdefault((namespace, term), set())


class Orphans:
    """Objects that nobody controls, by namespace: what an owner may adopt."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def note(self, doc: Doc, *, orphan: bool) -> None:
        namespace, name = doc["metadata"].get("namespace", ""), doc["metadata"]["name"]
        if orphan:
            self._names.setdefault(namespace, set()).add(name)
        elif (names := self._names.get(namespace)) is not None:
            names.discard(name)
            if not names:
                del self._names[namespace]

    def of(self, namespace: str) -> Iterable[str]:
        return tuple(self._names.get(namespace, ()))
