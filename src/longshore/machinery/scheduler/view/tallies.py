"""How many pods of which kind are where: pods that a query means, and pods that carry a term.

Pods without a term cost one count. Queries are counted when first asked and kept up to date from
then on, the last few hundred of them; a change touches only those that mean the pod.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

import numpy as np

from longshore.machinery.scheduler.pods.affinity import PodTerm
from longshore.machinery.scheduler.pods.kin import OWNER, Kin, Labels, Place, PodSelector, Query
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.view.columns import Amounts

T = TypeVar("T")

# Queries whose counts are kept; each is a column at most.
QUERIES_MAX = 512
# Kins of which it is known what concerns them.
_KINS_MAX = 65_536


class Counts:
    """Pods by row. column is the same as an array, made when it is asked for."""

    __slots__ = ("_column", "kins", "rows")

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.kins: dict[Kin, None] = {}
        self._column: Amounts | None = None

    def add(self, changes: Mapping[int, int]) -> None:
        """Pods by row, negative where they leave."""
        _add(self.rows, changes)
        if self._column is not None and max(changes, default=0) >= len(self._column):
            self._column = None
        if self._column is not None:
            for row, count in changes.items():
                self._column[row] += count

    def column(self, size: int) -> Amounts:
        """One count a row; belongs to the view."""
        if self._column is None or len(self._column) != size:
            self._column = np.zeros(size, np.int64)
            if self.rows:
                self._column[list(self.rows)] = list(self.rows.values())
        return self._column

    def cool(self) -> None:
        """Give the array up."""
        self._column = None


def _add(rows: dict[int, int], changes: Mapping[int, int]) -> None:
    for row, count in changes.items():
        left = rows.get(row, 0) + count
        if left:
            rows[row] = left
        else:
            rows.pop(row, None)


class _Index(Generic[T]):
    """Things by one label that pods must have to concern them, if there is such a label."""

    def __init__(self) -> None:
        self._places: dict[Place, dict[T, None]] = {}

    def add(self, item: T, places: Iterable[Place]) -> None:
        for place in places:
            self._places.setdefault(place, {})[item] = None

    def remove(self, item: T, places: Iterable[Place]) -> None:
        for place in places:
            found = self._places[place]
            del found[item]
            if not found:
                del self._places[place]

    def at(self, place: Place) -> Iterable[T]:
        return self._places.get(place, ())


def _asked_places(query: Query) -> list[Place]:
    """Where a query is filed: one place for each namespace that it names. Where namespaces are
    chosen by their labels there is no telling which."""
    part = query.parts[0]
    if part.of_namespaces is not None:
        return [("", "", "")]
    key, value = _exact(query, part)
    return [(namespace, key, value) for namespace in part.namespaces]


def _exact(query: Query, part: PodSelector) -> tuple[str, str]:
    if query.owner:
        return OWNER, query.owner
    exact = part.labels.exact if part.labels is not None else {}
    return next(iter(exact.items()), ("", ""))


class Tallies:
    def __init__(self) -> None:
        self.namespaces: dict[str, Labels] = {}
        self._kins: dict[Kin, dict[int, int]] = {}
        self._kin_index: _Index[Kin] = _Index()
        self._queries: OrderedDict[Query, Counts] = OrderedDict()
        self._query_index: _Index[Query] = _Index()
        self._counted: dict[Kin, list[Counts]] = {}
        self._carried: dict[PodTerm, Counts] = {}
        self._term_index: _Index[PodTerm] = _Index()
        self._concerning: dict[Kin, tuple[PodTerm, ...]] = {}
        self._warm: OrderedDict[Counts, None] = OrderedDict()

    # --- changes ---

    def add(self, pod_class: PodClass, changes: Mapping[int, int]) -> None:
        """Pods of a class come to rows: how many to each, negative where they leave."""
        kin = pod_class.kin
        rows = self._kins.get(kin)
        if rows is None:
            rows = self._meet(kin)
        _add(rows, changes)
        for counts in self._counted[kin]:
            counts.add(changes)
        if not rows:
            self._part(kin)
        for term in pod_class.affinity or ():
            self._carry(term, changes)

    def put_namespace(self, name: str, labels: Labels) -> bool:
        """Note the labels of a namespace; whether that is news."""
        if self.namespaces.get(name) == labels:
            return False
        self.namespaces[name] = labels
        self._rethink()
        return True

    def drop_namespace(self, name: str) -> None:
        if self.namespaces.pop(name, None) is not None:
            self._rethink()

    # --- questions ---

    def matching(self, query: Query) -> Counts:
        """The pods that a query means."""
        found = self._queries.get(query)
        if found is not None:
            self._queries.move_to_end(query)
            return found
        found = self._queries[query] = Counts()
        self._query_index.add(query, _asked_places(query))
        for kin in self._kins_of(query):
            self._count(found, kin)
        if len(self._queries) > QUERIES_MAX:
            self._drop_query(next(iter(self._queries)))
        return found

    def any_peers(self, kin: Kin) -> bool:
        """Whether there is a pod of the same controller."""
        return bool(self._kin_index.at((kin.namespace, OWNER, kin.owner)))

    def concerning(self, kin: Kin) -> tuple[PodTerm, ...]:
        """The terms of pods here that mean a kin."""
        if not self._carried:
            return ()
        found = self._concerning.get(kin)
        if found is None:
            if len(self._concerning) >= _KINS_MAX:
                self._concerning.clear()
            found = self._concerning[kin] = tuple(self._terms_of(kin))
        return found

    def carrying(self, term: PodTerm) -> Counts:
        """The pods that carry a term which concerning() told."""
        return self._carried[term]

    def column(self, counts: Counts, size: int) -> Amounts:
        """Counts as an array. The last few hundred arrays are kept."""
        self._warm[counts] = None
        self._warm.move_to_end(counts)
        if len(self._warm) > QUERIES_MAX:
            self._warm.popitem(last=False)[0].cool()
        return counts.column(size)

    # --- within ---

    def _meet(self, kin: Kin) -> dict[int, int]:
        rows: dict[int, int] = {}
        self._kins[kin] = rows
        self._kin_index.add(kin, kin.places)
        self._counted[kin] = []
        places = [("", "", ""), *kin.places] if self._queries else ()
        for query in [one for place in places for one in self._query_index.at(place)]:
            if query.matches(kin, self.namespaces):
                counts = self._queries[query]
                counts.kins[kin] = None
                self._counted[kin].append(counts)
        return rows

    def _part(self, kin: Kin) -> None:
        del self._kins[kin]
        self._kin_index.remove(kin, kin.places)
        for counts in self._counted.pop(kin):
            del counts.kins[kin]

    def _count(self, counts: Counts, kin: Kin) -> None:
        counts.add(self._kins[kin])
        counts.kins[kin] = None
        self._counted[kin].append(counts)

    def _kins_of(self, query: Query) -> list[Kin]:
        part = query.parts[0]
        names = set(part.namespaces)
        if part.of_namespaces is not None:
            names |= {
                n for n, labels in self.namespaces.items() if part.of_namespaces.matches(labels)
            }
        key, value = _exact(query, part)
        near = [kin for name in names for kin in self._kin_index.at((name, key, value))]
        return [kin for kin in near if query.matches(kin, self.namespaces)]

    def _drop_query(self, query: Query) -> None:
        counts = self._queries.pop(query)
        self._query_index.remove(query, _asked_places(query))
        self._warm.pop(counts, None)
        for kin in counts.kins:
            self._counted[kin].remove(counts)

    def _carry(self, term: PodTerm, changes: Mapping[int, int]) -> None:
        counts = self._carried.get(term)
        if counts is None:
            counts = self._carried[term] = Counts()
            self._term_index.add(term, _asked_places(term.query))
            self._concerning.clear()
        counts.add(changes)
        if not counts.rows:
            del self._carried[term]
            self._term_index.remove(term, _asked_places(term.query))
            self._warm.pop(counts, None)
            self._concerning.clear()

    def _terms_of(self, kin: Kin) -> Iterator[PodTerm]:
        for place in (("", "", ""), *kin.places):
            for term in self._term_index.at(place):
                if term.query.matches(kin, self.namespaces):
                    yield term

    def _rethink(self) -> None:
        """Forget what depends on the labels of namespaces."""
        self._concerning.clear()
        for query in [one for one in self._queries if _depends_on_namespaces(one)]:
            self._drop_query(query)


def _depends_on_namespaces(query: Query) -> bool:
    return any(part.of_namespaces is not None for part in query.parts)
