"""The ledger of capacity: no binding takes more of a node than it has, whoever binds.

Schedulers may be several: ours and others, each with a picture of its own that is some moments old.
Upstream lets two of them put more on a node than it holds, and leaves it to the kubelet to fail
pods (OutOfcpu). Here a binding is charged to its node's book in the very turn of the loop in which
it is queued, so of two that race for the last of a node one is refused; among several servers the
store compares that nobody else has bound there since (claims.py).

An Offer with a node is charged in the same way when it is made, and holds what it offers until it is
gone: only a binding that names it (offers.ANNOTATION) may take of that. When its time is over it can
be taken no more; the clock never gives its capacity to others, only its deletion does.

A book is opened when a pod is first bound to its node, of what the index of nodes finds, and
then follows what the cache hears. So a server that binds nothing keeps none. What does not come by
a binding (pods made with a nodeName) is counted and never refused, as upstream. What a
node does not say that it has is not judged.
"""

from __future__ import annotations

from longshore.base.clock import parse_rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.dynamic_ports import given_to
from longshore.core.objects.errors import Conflict
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.offers import accepted_by, offered
from longshore.core.objects.quota.pods import is_over
from longshore.core.objects.resizing import accounted, settled_generation
from longshore.core.registry.capacity.book import Entry, NodeBook, taken_by
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored


class Ledger:
    """The books of the nodes that pods are bound to."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._books: dict[str, NodeBook] = {}

    def charge(self, key: str, taken: Entry, node: str, *, dry_run: bool = False) -> None:
        """Enter what a pod is about to take of a node, of its offer if it names one (which accept()
        has judged). Raises Conflict if there is no room."""
        book = self._book(node)
        if taken.offer:
            why = book.refusal_of(taken.offer, taken.amounts)
            why = why and f'offer "{taken.offer}": {why}'
        else:
            why = book.refusal(taken.amounts)
            why = why and f'node "{node}": {why}'
        if why:
            raise _conflict("pods/binding", kinds.POD, key, why)
        if not dry_run:
            book.enter(key, taken)

    def accept(self, key: str, name: str, pod: Doc, node: str, now: float) -> None:
        """Whether a pod may be bound against an offer. now is in seconds since the epoch. Raises
        Conflict."""
        stored = self.cache.shelf(kinds.OFFER).get(kinds.OFFER.key("", name))
        why = f'offer "{name}" is gone'
        if stored is not None:
            why = _objection(stored.doc, pod, node, now)
        if why:
            raise _conflict("pods/binding", kinds.POD, key, why)

    def hold(self, key: str, offer: Doc, *, dry_run: bool = False) -> None:
        """Enter an offer that is about to be stored; one without a node holds nothing. Raises
        Conflict if the node does not have as much."""
        node = offer["spec"].get("nodeName")
        if not node:
            return
        book, name, amounts = self._book(node), offer["metadata"]["name"], offered(offer)
        if book.holds(name):
            return
        if why := book.refusal(amounts):
            why = f'node "{node}": {why}'
            raise _conflict("offers.scheduling.longshore.io", kinds.OFFER, key, why)
        if not dry_run:
            book.hold(name, amounts)

    def applied(self, frame: Frame) -> None:
        """A change has become visible."""
        if not self._books:
            return
        if frame.kind is kinds.POD:
            book = self._books.get(_node_of(frame.stored))
            if book is not None:
                _follow(book, frame)
        elif frame.kind is kinds.OFFER:
            self._follow_offer(frame)
        elif frame.kind is kinds.NODE and frame.type == "DELETED":
            # Its pods may outlive it: should it come back, its book is opened anew.
            self._books.pop(frame.stored.name, None)

    def settle(self, kind: Kind, key: str, doc: Doc | None) -> None:
        """A write came to nothing: what is stored counts again."""
        if kind not in (kinds.POD, kinds.OFFER) or doc is None:
            return
        node = doc["spec"].get("nodeName") or ""
        book = self._books.get(node)
        if book is None:
            return
        stored = self.cache.shelf(kind).get(key)
        is_there = stored is not None and _node_of(stored) == node
        if kind is kinds.OFFER:
            if not is_there:
                book.release(doc["metadata"]["name"])
        elif stored is None or not is_there or is_over(stored.doc):
            book.drop(key)

    def reload(self) -> None:
        """Open all books anew."""
        self._books.clear()

    def _follow_offer(self, frame: Frame) -> None:
        book, name = self._books.get(_node_of(frame.stored)), frame.stored.name
        if book is None:
            return
        if frame.type == "DELETED":
            book.release(name)
        else:
            book.hold(name, offered(frame.doc))

    def _book(self, node: str) -> NodeBook:
        book = self._books.get(node)
        if book is None:
            book = self._books[node] = self._opened(node)
        stored = self.cache.shelf(kinds.NODE).get(kinds.NODE.key("", node))
        if stored is not None:
            book.of(stored)
        return book

    def _opened(self, node: str) -> NodeBook:
        book = NodeBook()
        for stored in self.cache.shelf(kinds.OFFER).found(("node", node)):
            book.hold(stored.name, offered(stored.doc))
        for stored in self.cache.shelf(kinds.POD).found(("node", node)):
            pod = stored.glance()
            if not is_over(pod):
                book.enter(stored.key, _entry(pod))
        return book


def _follow(book: NodeBook, frame: Frame) -> None:
    key, pod = frame.stored.key, frame.doc
    if frame.type == "DELETED" or is_over(pod):
        book.drop(key)
        return
    known = book.get(key)
    # A status is written far more often than a spec.
    generation = settled_generation(pod)
    if known is None or generation is None or known.generation != generation:
        book.enter(key, _entry(pod))


def _entry(pod: Doc) -> Entry:
    amounts, ports = taken_by(accounted(pod)), given_to(pod)
    both = {**amounts, **ports} if ports else amounts
    return Entry(both, settled_generation(pod), accepted_by(pod))


def _node_of(stored: Stored) -> str:
    for term, value in stored.terms:
        if term == "node":
            return value
    return ""


def _objection(offer: Doc, pod: Doc, node: str, now: float) -> str:
    spec, status, name = offer["spec"], offer.get("status") or {}, offer["metadata"]["name"]
    whose, scheduler = spec["schedulerName"], pod["spec"].get("schedulerName", "")
    if spec.get("nodeName") != node:
        return f'offer "{name}" is not one of node "{node}"'
    if whose != scheduler:
        return f'offer "{name}" is made to scheduler "{whose}", the pod\'s is "{scheduler}"'
    end = status.get("expireTime")
    if end is not None and parse_rfc3339(end) <= now:
        return f'offer "{name}" has expired'
    return ""


def _conflict(resource: str, kind: Kind, key: str, why: str) -> Conflict:
    name = key.rpartition("/")[2]
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Conflict(message, kind=kind, name=name)
