"""ResourceQuota: what a namespace may use, charged in the very turn of the loop in which a write is
queued, so that no two writes can both have the last of it; among several servers the store compares
that nobody else has charged one of the namespace since (claims.py).

Only namespaces with quotas have books. A write's entry is set when it is planned, and again when
the cache hears of what came of it, or that nothing did. (apiserver/pkg/admission/plugin/resourcequota
reaches the same by compare-and-swap on the quota's status, which here is a report only.)
"""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.objects import kinds
from longshore.core.objects.errors import Forbidden
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.quota.tally import Tally, fill
from longshore.core.objects.quota.usage import is_counted
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored


class QuotaBooks:
    """The books of all quotas, by namespace and quota."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._books: dict[str, dict[str, Tally]] = {}

    def charge(self, kind: Kind, doc: Doc, old: Doc | None, now: float, *, dry_run: bool) -> None:
        """Enter an object that is about to be stored in place of the old one. now is in seconds since the epoch. Raises
        Forbidden if a quota has no room for it."""
        shelf = self.cache.shelf(kinds.RESOURCE_QUOTA)
        if not len(shelf) or not is_counted(kind):
            return
        metadata = doc["metadata"]
        namespace = metadata["namespace"]
        quotas = list(shelf.found(("namespace", namespace)))
        if not quotas:
            return
        key = kind.key_of(doc)
        books = [book for book in self._of(namespace, quotas) if book.counts(kind)]
        usages = [book.usage(kind, doc) for book in books]
        for book, wanted in zip(books, usages, strict=True):
            if why := book.refusal(kind, key, doc, old, wanted, now):
                name = metadata["name"]
                message = f'{kind.resource} "{name}" is forbidden: {why}'
                raise Forbidden(message, kind=kind, name=name)
        for book, wanted in () if dry_run else zip(books, usages, strict=True):
            book.enter(key, wanted)

    def limit(self, kind: Kind, namespace: str) -> bool:
        """Whether there is a quota that objects of the kind are charged to."""
        shelf = self.cache.shelf(kinds.RESOURCE_QUOTA)
        if not len(shelf) or not is_counted(kind):
            return False
        quotas = list(shelf.found(("namespace", namespace)))
        return any(book.counts(kind) for book in self._of(namespace, quotas)) if quotas else False

    def reload(self) -> None:
        """Open all books anew."""
        self._books.clear()

    def applied(self, frame: Frame) -> None:
        """A change has become visible."""
        if not self._books:
            return
        books = self._books.get(frame.stored.namespace)
        if books is None:
            return
        if frame.kind is kinds.RESOURCE_QUOTA:
            self._quota_changed(books, frame)
            if not books:
                del self._books[frame.stored.namespace]
        for book in books.values():
            if book.counts(frame.kind):
                _enter(book, frame)

    def settle(self, kind: Kind, key: str) -> None:
        """A write came to nothing: what is stored counts again."""
        stored = self.cache.shelf(kind).get(key)
        namespace = key.rsplit("/", 2)[1] if kind.namespaced else ""
        for book in self._books.get(namespace, {}).values():
            if not book.counts(kind):
                continue
            if stored is None:
                book.drop(key)
            else:
                book.put(kind, key, stored.doc)

    def _of(self, namespace: str, quotas: Sequence[Stored]) -> list[Tally]:
        books = self._books.setdefault(namespace, {})
        for stored in quotas:
            if stored.name not in books:
                books[stored.name] = opened(self.cache, stored.doc)
        return list(books.values())

    def _quota_changed(self, books: dict[str, Tally], frame: Frame) -> None:
        """A quota that is gone, or limits something else now, has its book opened anew when next
        it is asked for."""
        known = books.get(frame.stored.name)
        if known is not None and (
            frame.type == "DELETED" or known.spec != (frame.doc.get("spec") or {})
        ):
            del books[frame.stored.name]


def opened(cache: Cache, quota: Doc) -> Tally:
    """The book of a quota over all that is in its namespace."""
    book, namespace = Tally(quota), quota["metadata"]["namespace"]
    for kind in kinds.KINDS.stored:
        if is_counted(kind) and book.counts(kind):
            found = cache.shelf(kind).found(("namespace", namespace))
            fill(book, kind, ((stored.key, stored.doc) for stored in found))
    return book


def _enter(book: Tally, frame: Frame) -> None:
    if frame.type == "DELETED":
        book.drop(frame.stored.key)
    else:
        book.put(frame.kind, frame.stored.key, frame.doc)
