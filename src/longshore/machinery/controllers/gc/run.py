"""Collect garbage: what lost its last owner goes, what waits for its dependents is let go.

There is no graph of its own: the cache's index of owners is the graph. A key is an object's place
and uid; for an object that is gone it stands for its dependents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc, Kind, Kinds
from longshore.core.registry.client import Client, Delete, DeleteOptions, Operation
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common.answers import raise_first
from longshore.machinery.controllers.gc import plan as planning
from longshore.machinery.controllers.gc.plan import FOREGROUND, ORPHAN, Owner
from longshore.machinery.loop.answers import DONE, Answer
from longshore.machinery.loop.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Node:
    """An object in the graph of owners."""

    kind: Kind
    namespace: str
    name: str
    uid: str


class GarbageCollector:
    """The reconciler; its keys are Nodes."""

    name = "gc"

    def __init__(self, cache: Cache, client: Client, recorder: Recorder, served: Kinds) -> None:
        self._cache = cache
        self._client = client
        self._recorder = recorder.named("garbage-collector-controller")
        self._served = served
        # Events own nothing and are owned by nothing; they are most of what happens.
        self._kinds = tuple(kind for kind in served.stored if kind is not kinds.EVENT)

    @property
    def watches(self) -> tuple[Kind, ...]:
        return self._kinds

    def keys(self, event: Frame) -> Iterable[Node]:
        if event.type == "DELETED":
            return [_node(event.kind, event.doc), *self._held_owners(event.doc)]
        owned = any(term[0] == "owner" for term in event.stored.terms)
        moved = owned and (event.before is None or event.before.terms != event.stored.terms)
        if moved and not event.kind.namespaced:
            self._tell_of_strangers(event.doc)
        suspicious = moved and self._has_bad_owner(event.doc)
        # A look into the bytes spares the decoding of what is of no concern.
        rest = event.stored.rest
        waits = b'"deletionTimestamp"' in rest and b'"finalizers"' in rest
        return (_node(event.kind, event.doc),) if suspicious or waits else ()

    async def reconcile(self, key: Node) -> Answer:
        doc = self._cache.get(key.kind, key.namespace, key.name)
        if doc is None or doc["metadata"]["uid"] != key.uid:
            await self._submit(self._work_on(self._dependents(key.namespace, key.uid)))
            return DONE
        if owners.is_deleting(doc) and planning.has_finalizer(doc, ORPHAN):
            await self._orphan(key, doc)
        elif planning.is_waiting(doc):
            await self._foreground(key, doc)
        else:
            await self._submit(self._work_on([(key.kind, doc)]))
        return DONE

    async def _orphan(self, key: Node, doc: Doc) -> None:
        """Dependents forget their owner, then it may go."""
        letting_go: list[Operation] = [
            owners.without_owner(kind, one, [key.uid])
            for kind, one in self._dependents(key.namespace, key.uid)
        ]
        await self._submit(letting_go)
        await self._submit([owners.without_finalizer(key.kind, doc, ORPHAN)])

    async def _foreground(self, key: Node, doc: Doc) -> None:
        """Dependents go first; those that block hold their owner until they are gone."""
        dependents = self._dependents(key.namespace, key.uid)
        await self._submit(self._work_on([(key.kind, doc), *dependents]))
        still = self._cache.get(key.kind, key.namespace, key.name)
        held = any(
            planning.blocks(one, key.uid) for _, one in self._dependents(key.namespace, key.uid)
        )
        if still is not None and planning.is_waiting(still) and not held:
            await self._submit([owners.without_finalizer(key.kind, still, FOREGROUND)])

    def _work_on(self, objects: Iterable[tuple[Kind, Doc]]) -> list[Operation]:
        return [work for kind, doc in objects for work in self._work(kind, doc)]

    def _work(self, kind: Kind, doc: Doc) -> Iterator[Operation]:
        metadata = doc["metadata"]
        uid = metadata["uid"]
        fate = planning.fate(
            doc,
            lambda ref: self._judge(metadata.get("namespace", ""), ref),
            lambda: (one for _, one in self._dependents(metadata.get("namespace", ""), uid)),
        )
        if fate.drop:
            yield owners.without_owner(kind, doc, fate.drop)
        elif fate.unblock:
            refs = [{**ref, "blockOwnerDeletion": False} for ref in owners.owners(doc)]
            if refs != owners.owners(doc):
                yield owners.patch_metadata(kind, doc, {"ownerReferences": refs})
        if fate.delete and not (owners.is_deleting(doc) and _as_asked(doc, fate.delete)):
            options = DeleteOptions(propagation=fate.delete, uid=uid)
            yield Delete(kind, metadata.get("namespace", ""), metadata["name"], options)

    def _dependents(self, namespace: str, uid: str) -> list[tuple[Kind, Doc]]:
        """Objects of an owner that is in that namespace ("": in none). From another namespace nobody
        depends on it, whatever he says: nobody is to hold what is not his."""
        found = ((k, doc) for k in self._kinds for doc in self._cache.indexed(k, "owner", uid))
        return [
            (kind, doc)
            for kind, doc in found
            if not namespace or doc["metadata"].get("namespace") == namespace
        ]

    def _owner(self, namespace: str, ref: Doc) -> tuple[Kind, Doc] | None:
        """The owner that a reference means; None if there is no such object any more."""
        kind = self._served.named(ref["apiVersion"], ref["kind"])
        assert kind is not None, "asked for only after _judge"
        found = self._cache.get(kind, namespace if kind.namespaced else "", ref["name"])
        if found is None or found["metadata"]["uid"] != ref["uid"]:
            return None
        return kind, found

    def _judge(self, namespace: str, ref: Doc) -> Owner:
        """An owner that cannot be looked up counts as alive: of a kind that is not served here, or of
        one that has namespaces for an object that has none."""
        kind = self._served.named(ref["apiVersion"], ref["kind"])
        if kind is None or "watch" not in kind.verbs or (kind.namespaced and not namespace):
            return Owner.SOLID
        found = self._owner(namespace, ref)
        if found is None:
            return Owner.DANGLING
        waits = planning.is_waiting(found[1]) and ref.get("blockOwnerDeletion")
        return Owner.WAITING if waits else Owner.SOLID

    def _tell_of_strangers(self, doc: Doc) -> None:
        """An object of no namespace names an owner that has one: which, nobody can tell."""
        for ref in owners.owners(doc):
            kind = self._served.named(ref["apiVersion"], ref["kind"])
            if kind is not None and kind.namespaced:
                message = planning.INVALID_NAMESPACE.format(**ref)
                self._recorder.event(doc, "Warning", "OwnerRefInvalidNamespace", message)

    def _has_bad_owner(self, doc: Doc) -> bool:
        namespace = doc["metadata"].get("namespace", "")
        return any(self._judge(namespace, ref) is not Owner.SOLID for ref in owners.owners(doc))

    def _held_owners(self, doc: Doc) -> list[Node]:
        """Owners that may be waiting for this object to go."""
        namespace = doc["metadata"].get("namespace", "")
        waiting = (
            self._owner(namespace, ref)
            for ref in owners.owners(doc)
            if self._judge(namespace, ref) is Owner.WAITING
        )
        return [_node(*found) for found in waiting if found is not None]

    async def _submit(self, work: list[Operation]) -> None:
        if work:
            answers = await self._client.submit(work)
            raise_first(None if isinstance(answer, NotFound) else answer for answer in answers)


def _node(kind: Kind, doc: Doc) -> Node:
    metadata = doc["metadata"]
    return Node(kind, metadata.get("namespace", ""), metadata["name"], metadata["uid"])


def _as_asked(doc: Doc, propagation: str) -> bool:
    """An object on its way out needs no second word, unless it is to wait for its dependents."""
    return propagation != "Foreground" or planning.has_finalizer(doc, FOREGROUND)
