"""The ledger of capacity: no binding takes more of a node than it has, whoever binds.

Schedulers may be several: ours and others, each with a picture of its own that is some moments old.
Upstream lets two of them put more on a node than it holds, and leaves it to the kubelet to fail
pods (OutOfcpu). Here a binding is charged to its node's book in the very turn of the loop in which
it is queued, so of two that race for the last of a node one is refused; among several servers the
store compares that nobody else has bound there since (claims.py).

A book is opened when a pod is first bound to its node, of what the index of nodes finds, and
then follows what the cache hears. So a server that binds nothing keeps none. What does not come by
a binding (pods made with a nodeName) is counted and never refused, as upstream. A node that
has not said yet what it has is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping

from longshore.core.objects import kinds
from longshore.core.objects.errors import Conflict
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.pod_requests import amounts_of
from longshore.core.objects.quota.pods import is_over
from longshore.core.registry.capacity.book import Amounts, Entry, NodeBook, taken_by
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored

_NO_NODE: Mapping[str, int] = {}


class Ledger:
    """The books of the nodes that pods are bound to."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._books: dict[str, NodeBook] = {}
        # What nodes have, as it was read from their state as of then.
        self._allocatable: dict[str, tuple[Stored, Amounts]] = {}

    def charge(self, key: str, taken: Entry, node: str, *, dry_run: bool = False) -> None:
        """Enter what a pod is about to take of a node. Raises Conflict if there is no room."""
        book = self._book(node)
        allocatable = self._of_node(node)
        why = book.refusal(taken.amounts, allocatable) if allocatable else ""
        if why:
            name = key.rpartition("/")[2]
            message = (
                f'Operation cannot be fulfilled on pods/binding "{name}": node "{node}": {why}'
            )
            raise Conflict(message, kind=kinds.POD, name=name)
        if not dry_run:
            book.enter(key, taken)

    def applied(self, frame: Frame) -> None:
        """A change has become visible."""
        if not self._books:
            return
        if frame.kind is kinds.POD:
            book = self._books.get(_node_of(frame.stored))
            if book is not None:
                _follow(book, frame)
        elif frame.kind is kinds.NODE and frame.type == "DELETED":
            self._forget(frame.stored.name)

    def settle(self, kind: Kind, key: str, doc: Doc | None) -> None:
        """A write came to nothing: what is stored counts again."""
        if kind is not kinds.POD or doc is None:
            return
        node = doc["spec"].get("nodeName") or ""
        book = self._books.get(node)
        if book is None:
            return
        stored = self.cache.shelf(kind).get(key)
        if stored is None or _node_of(stored) != node or is_over(stored.doc):
            book.drop(key)

    def reload(self) -> None:
        """Open all books anew."""
        self._books.clear()
        self._allocatable.clear()

    def _book(self, node: str) -> NodeBook:
        book = self._books.get(node)
        if book is None:
            book = self._books[node] = NodeBook()
            for stored in self.cache.shelf(kinds.POD).found(("node", node)):
                pod = stored.glance()
                if not is_over(pod):
                    book.enter(stored.key, _entry(pod))
        return book

    def _of_node(self, name: str) -> Amounts:
        """What a node has for pods; nothing of one that is not there or has not told."""
        stored = self.cache.shelf(kinds.NODE).get(kinds.NODE.key("", name))
        if stored is None:
            return _NO_NODE
        known = self._allocatable.get(name)
        if known is None or known[0] is not stored:
            status = stored.doc.get("status") or {}
            had = amounts_of(status.get("allocatable") or status.get("capacity") or {})
            known = self._allocatable[name] = (stored, had)
        return known[1]

    def _forget(self, node: str) -> None:
        """Its pods may outlive it: should it come back, its book is opened anew."""
        self._books.pop(node, None)
        self._allocatable.pop(node, None)


def _follow(book: NodeBook, frame: Frame) -> None:
    key, pod = frame.stored.key, frame.doc
    if frame.type == "DELETED" or is_over(pod):
        book.drop(key)
        return
    known = book.get(key)
    # A status is written far more often than a spec.
    if known is None or known.generation != pod["metadata"].get("generation", 0):
        book.enter(key, _entry(pod))


def _entry(pod: Doc) -> Entry:
    return Entry(taken_by(pod["spec"]), pod["metadata"].get("generation", 0))


def _node_of(pod: Stored) -> str:
    return next((value for term, value in pod.terms if term == "node"), "")
