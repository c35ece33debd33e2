"""The cache: every object as it stands, a window of history, and a feed for whoever listens.

There is one in a server. It is written only by the registry, in the order of revisions, after the
store has committed: by what this server wrote, or, where there are others, by what the store tells; doors answer reads from it and in-process loops read it directly.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from longshore.base.limits import ENCODED_MAX, LOOP_FEED_MAX, WATCH_QUEUE_MAX
from longshore.core.objects.errors import Expired
from longshore.core.objects.kinds import Doc, Kind, Kinds
from longshore.core.watch.feeds import ALONE, Audience, CacheFeed, Company, Hub, Select
from longshore.core.watch.frames import Frame
from longshore.core.watch.glimpse import Glimpse
from longshore.core.watch.history import History, Window
from longshore.core.watch.indexes import Term, terms_of
from longshore.core.watch.stored import Stored

# Objects indexed at a time, when those read at start are: 2 ms or so.
_SLICE = 500


class Shelf:
    """All objects of one kind, in the order of their keys, with their indexes and history.

    What was read at start is indexed when somebody first asks for an index, listens to the kind or
    has the time (index()): to serve, it takes keys and bytes alone.
    """

    def __init__(self, kind: Kind, revision: int) -> None:
        self.kind = kind
        self.hub = Hub()
        self._by_key: dict[str, Stored] = {}
        self._keys: list[str] = []
        self._by_term: dict[Term, dict[str, Stored]] = {}
        self._terms: dict[Term, Term] = {}
        self._unindexed: dict[str, Stored] = {}
        self._glimpse = Glimpse(kind)
        self.history = History(revision)

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key: str) -> Stored | None:
        return self._by_key.get(key)

    def held(self) -> Iterable[Stored]:
        """All objects, in no order."""
        return self._by_key.values()

    def range(self, prefix: str, after: str = "") -> Iterator[Stored]:
        """Objects whose keys begin with prefix and come behind after, in order."""
        start, end = self._bounds(prefix, after)
        return map(self._by_key.__getitem__, self._keys[start:end])

    def count(self, prefix: str, after: str = "") -> int:
        """How many objects range() would give, without touching them."""
        start, end = self._bounds(prefix, after)
        return end - start

    def _bounds(self, prefix: str, after: str) -> tuple[int, int]:
        start = bisect_left(self._keys, max(prefix, after + "\0" if after else ""))
        return start, max(start, bisect_left(self._keys, prefix + "\U0010ffff"))

    def found(self, term: Term) -> Iterable[Stored]:
        """What an index holds, see terms_of(); ("namespace", its name) are keys that are together, and
        ("key", one) is the object itself."""
        if not self._keys:
            return ()
        if term[0] == "namespace":
            return self.range(f"{self.kind.prefix}{term[1]}/")
        if term[0] == "key":
            return filter(None, (self.get(term[1]),))
        self.index()
        return self._by_term.get(term, {}).values()

    def put(self, stored: Stored) -> None:
        if self._unindexed:
            self._index_read(stored.key)
        before = self._by_key.get(stored.key)
        self._name(stored, terms_of(self.kind, stored.doc))
        if before is None:
            insort(self._keys, stored.key)
        elif before.terms != stored.terms:
            self._unindex(before)
        self._by_key[stored.key] = stored
        self._index(stored)

    def fill(self, objects: list[Stored]) -> None:
        """Take all objects in at once, in any order."""
        self._by_key = {stored.key: stored for stored in objects}
        self._unindexed = self._by_key.copy()
        self._keys = sorted(self._by_key)

    def index(self, most: int = sys.maxsize) -> int:
        """Index what was read at start, at most so many objects; how many are left."""
        for key in list(islice(self._unindexed, most)):
            self._index_read(key)
        return len(self._unindexed)

    def _index_read(self, key: str) -> None:
        stored = self._unindexed.pop(key, None)
        if stored is not None:
            self._name(stored, self._glimpse.terms(stored))
            self._index(stored)

    def clear(self) -> None:
        """Hold nothing."""
        self._by_key.clear()
        self._unindexed.clear()
        self._keys.clear()
        self._by_term.clear()
        self._terms.clear()

    def _name(self, stored: Stored, terms: Iterable[Term]) -> None:
        # Terms are interned: ten thousand pods of an owner share one tuple.
        stored.terms = tuple([self._terms.setdefault(term, term) for term in terms])

    def _index(self, stored: Stored) -> None:
        for term in stored.terms:
            self._by_term.setdefault(term, {})[stored.key] = stored

    def drop(self, key: str) -> None:
        if self._unindexed:
            self._index_read(key)
        gone = self._by_key.pop(key)
        del self._keys[bisect_left(self._keys, key)]
        self._unindex(gone)

    def _unindex(self, stored: Stored) -> None:
        for term in stored.terms:
            entries = self._by_term[term]
            entries.pop(stored.key, None)
            if not entries:
                del self._by_term[term]
                self._terms.pop(term, None)


class Cache:
    """The current state of the whole cluster."""

    def __init__(self, kinds: Kinds, revision: int = 0) -> None:
        self.revision = revision
        # What is listed but never stored (ComponentStatus) has a shelf that stays empty.
        self._shelves = {
            kind.prefix: Shelf(kind, revision)
            for kind in kinds
            if kind.hub is None and "list" in kind.verbs
        }
        self.window = Window([shelf.history for shelf in self._shelves.values()])
        self._shared: deque[Frame] = deque()

    # --- for loops: decoded, shared, read-only documents ---

    def get(self, kind: Kind, namespace: str, name: str) -> Doc | None:
        stored = self.shelf(kind).get(kind.key(namespace, name))
        return None if stored is None else stored.doc

    def all(self, kind: Kind, namespace: str = "") -> list[Doc]:
        """Every object of a kind (in a namespace), sorted by namespace and name."""
        return [stored.doc for stored in self.shelf(kind).range(scope(kind, namespace))]

    def indexed(self, kind: Kind, index: str, value: str) -> list[Doc]:
        """The objects found under an index: "owner" (an owner's uid), "namespace", and for pods
        "node", for Events "about" (a uid)."""
        return [stored.doc for stored in self.shelf(kind).found((index, value))]

    def everything(self) -> list[Stored]:
        """All objects of all kinds as they are at this revision, in no order; they never change."""
        found: list[Stored] = []
        for shelf in self._shelves.values():
            found.extend(shelf.held())
        return found

    def subscribe(self, *kinds: Kind) -> CacheFeed:
        """What is there, as ADDED, and then every change of these kinds: no gap, no double."""
        for kind in kinds:
            self.shelf(kind).index()
        initial = [
            Frame("ADDED", stored, None)
            for kind in kinds
            for stored in self.shelf(kind).range(kind.prefix)
        ]
        audience = Audience(None, LOOP_FEED_MAX)
        hubs = [self.shelf(kind).hub for kind in kinds]
        for hub in hubs:
            hub.listen(audience, None)
        audience.on_empty = lambda gone: _forget_everywhere(hubs, gone)
        return CacheFeed(initial, audience)

    # --- for the registry ---

    def shelf(self, kind: Kind) -> Shelf:
        return self._shelves[kind.prefix]

    def load(self, kind: Kind, objects: list[Stored]) -> None:
        """Take all objects of a kind in at start, before anyone listens."""
        self.shelf(kind).fill(objects)

    def index(self) -> Iterator[int]:
        """Index what was read at start, a slice each step; gives how much of a kind is left."""
        for shelf in self._shelves.values():
            while left := shelf.index(_SLICE):
                yield left

    def apply(self, frame: Frame) -> None:
        """Make one committed change visible. Revisions come in order, each once."""
        stored = frame.stored
        assert stored.revision > self.revision, (stored.key, stored.revision, self.revision)
        shelf = self.shelf(stored.kind)
        if frame.type == "DELETED":
            assert frame.before is not None, stored.key
            shelf.drop(stored.key)
            stored.terms = frame.before.terms
        else:
            shelf.put(stored)
        self.revision = stored.revision
        shelf.history.add(frame)
        self._share(frame)
        shelf.hub.publish(frame)

    def progress(self, revision: int) -> None:
        """There is nothing more to be told up to that revision."""
        self.revision = max(self.revision, revision)

    def replace(self, found: Mapping[Kind, list[Stored]], revision: int) -> None:
        """Hold other contents, as of a revision: what led there is not known, so that whoever
        listens has to list again."""
        for shelf in self._shelves.values():
            shelf.clear()
        for kind, objects in found.items():
            self.load(kind, objects)
        self.revision = revision
        self.window.restart(revision)
        for shelf in self._shelves.values():
            shelf.hub.expire()

    def _share(self, frame: Frame) -> None:
        frame.share()
        self._shared.append(frame)
        if len(self._shared) > ENCODED_MAX:
            self._shared.popleft().unshare()

    def watch(
        self,
        kind: Kind,
        *,
        since: int | None,
        prefix: str,
        select: Select | None,
        term: Term | None,
        company: Company = ALONE,
    ) -> CacheFeed:
        """A feed of one kind: after a revision, or (since None) from what is there as ADDED. select
        and term are the same for all who listen together.

        Raises Expired when the history does not reach back to that revision.
        """
        shelf = self.shelf(kind)
        if since is None:
            seen: Iterable[Frame] = (Frame("ADDED", s, None) for s in shelf.range(prefix))
        else:
            if since < shelf.history.start:
                raise Expired(f"too old resource version: {since} ({shelf.history.start})")
            seen = shelf.history.since(since)
        chosen = seen if select is None else filter(None, map(select, seen))
        audience = shelf.hub.audience(
            company.same, term, lambda: Audience(select, WATCH_QUEUE_MAX, company.pace)
        )
        return CacheFeed(list(chosen), audience)

    def as_of(self, kind: Kind, revision: int, prefix: str, after: str = "") -> Iterator[Stored]:
        """Objects as they stood at a revision: the present, with later changes taken back.

        Raises Expired when the history does not reach back that far, or the revision is older than
        the window of all kinds.
        """
        shelf = self.shelf(kind)
        if revision < max(shelf.history.start, self.window.compacted):
            raise Expired(f"The provided continue parameter is too old: {revision}")
        undone: dict[str, Stored | None] = {}
        for frame in shelf.history.back_to(revision):
            undone[frame.stored.key] = frame.before
        if not undone:
            yield from shelf.range(prefix, after)
            return
        gone = {k: s for k, s in undone.items() if k.startswith(prefix) and k > after}
        keep = [s for s in shelf.range(prefix, after) if s.key not in gone]
        keep += [s for s in gone.values() if s is not None]
        yield from sorted(keep, key=lambda stored: stored.key)


def _forget_everywhere(hubs: list[Hub], audience: Audience) -> None:
    for hub in hubs:
        hub.forget(audience)


def scope(kind: Kind, namespace: str) -> str:
    """The prefix of the keys of a kind, in one namespace or in all."""
    return f"{kind.prefix}{namespace}/" if kind.namespaced and namespace else kind.prefix
