"""Which owners a change concerns: an index of selectors, so that no change asks every owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from longshore.core.objects import selectors
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.selectors import Selector
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners

# Selectors without one plain key=value are asked for every object of their namespace.
_ANY = ("", "")


def is_news(event: Frame, facts: Callable[[Doc], object]) -> bool:
    """Whether a change is one of those facts; that something has come or gone always is. Who looks at
    many objects for a change of one asks this first: most changes concern nobody but their writer."""
    if event.type != "MODIFIED" or event.old is None:
        return True
    return facts(event.old) != facts(event.doc)


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
    """Objects that nobody controls, found by their labels: what an owner may adopt."""

    def __init__(self) -> None:
        self._labels: dict[tuple[str, str], Mapping[str, str]] = {}
        self._by_term: dict[tuple[str, tuple[str, str]], dict[str, None]] = {}

    def note(self, doc: Doc, *, orphan: bool) -> None:
        metadata = doc["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        labels = (metadata.get("labels") or {}) if orphan else None
        before = self._labels.pop((namespace, name), None)
        if labels is not None:
            self._labels[namespace, name] = labels
        if labels != before:
            self._forget(namespace, name, before)
            self._learn(namespace, name, labels)

    def of(self, namespace: str, selector: Selector) -> Iterable[str]:
        """Names of all there that the selector may mean, and of some that it does not."""
        term = next(iter(selector.exact.items()), _ANY)
        return tuple(self._by_term.get((namespace, term), ()))

    def _learn(self, namespace: str, name: str, labels: Mapping[str, str] | None) -> None:
        if labels is not None:
            for term in (_ANY, *labels.items()):
                self._by_term.setdefault((namespace, term), {})[name] = None

    def _forget(self, namespace: str, name: str, labels: Mapping[str, str] | None) -> None:
        if labels is not None:
            for term in (_ANY, *labels.items()):
                names = self._by_term[namespace, term]
                del names[name]
                if not names:
                    del self._by_term[namespace, term]


class Claims:
    """Who owns, or may adopt, what: owners of one kind with selectors, and what they control."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._selectors = SelectorIndex()
        self._orphans = Orphans()

    def of_owner(self, event: Frame) -> tuple[str, str]:
        """Learn of a changed owner; its key."""
        metadata = event.doc["metadata"]
        if event.old is not None and event.old.get("spec") is event.doc["spec"]:
            return metadata["namespace"], metadata["name"]  # nothing but its status has changed
        gone = event.type == "DELETED"
        selector = None if gone else selectors.of_workload(event.doc)
        self._selectors.put(metadata["namespace"], metadata["name"], selector)
        return metadata["namespace"], metadata["name"]

    def of_owned(self, event: Frame) -> list[tuple[str, str]]:
        """Learn of a changed object that an owner may control; the key of its controller if that is
        of our kind, and if there is none, of all who select it."""
        metadata, owner = event.doc["metadata"], owners.controller(event.doc)
        namespace = metadata["namespace"]
        self._orphans.note(event.doc, orphan=owner is None and event.type != "DELETED")
        if owner is None:
            return self.selecting(event.doc)
        return [(namespace, owner["name"])] if owner["kind"] == self._kind.name else []

    def are_others(self, event: Frame) -> bool:
        """Whether a changed object is another kind's, and was: most are, and nothing is to be learnt."""
        owner = owners.controller(event.doc)
        if owner is None or owner["kind"] == self._kind.name:
            return False
        return event.before is None or event.before.terms == event.stored.terms

    def former(self, event: Frame) -> list[tuple[str, str]]:
        """The key of the owner of our kind that has just let an object go."""
        if event.before is None or not any(term[0] == "owner" for term in event.before.terms):
            return []
        owner = owners.controller(event.before.doc)
        if owner is None or owner["kind"] != self._kind.name or owners.controller(event.doc):
            return []
        return [(event.doc["metadata"]["namespace"], owner["name"])]

    def selecting(self, doc: Doc) -> list[tuple[str, str]]:
        """The keys of all owners whose selectors match an object."""
        metadata = doc["metadata"]
        names = self._selectors.matching(metadata["namespace"], metadata.get("labels"))
        return [(metadata["namespace"], name) for name in names]

    def selects(self, key: tuple[str, str], doc: Doc) -> bool:
        """Whether the owner of that key selects an object."""
        selector = self._selectors.get(*key)
        return selector is not None and selector.matches(doc["metadata"].get("labels"))

    def orphans(self, key: tuple[str, str]) -> Iterable[str]:
        """Names of objects that nobody controls, among them all that the owner of that key selects."""
        selector = self._selectors.get(*key)
        return () if selector is None else self._orphans.of(key[0], selector)
