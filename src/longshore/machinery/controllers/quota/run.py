"""Report in each quota's status what is used of it. What may be created does not depend on this: the
registry has books of its own (core/registry/quotas.py)."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Kind
from longshore.core.objects.quota.tally import Tally
from longshore.core.objects.quota.usage import is_counted
from longshore.core.registry.client import Client, Update
from longshore.core.registry.quotas import opened
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.quota.plan import status_of
from longshore.machinery.loop.answers import Answer, sooner

Key = tuple[str, str]
"""Namespace and name."""


class ResourceQuotas:
    """The reconciler."""

    name = "resourcequota"

    def __init__(self, cache: Cache, client: Client, clock: Clock, stored: Iterable[Kind]) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._counted = tuple(kind for kind in stored if is_counted(kind))
        self._books: dict[str, dict[str, Tally]] = {}

    @property
    def watches(self) -> tuple[Kind, ...]:
        return self._counted

    def keys(self, event: Frame) -> Iterable[Key]:
        """The quotas whose sums change; most namespaces have none."""
        namespace = event.stored.namespace
        changed = self._own(event, namespace) if event.kind is kinds.RESOURCE_QUOTA else set()
        for name, book in self._books.get(namespace, {}).items():
            if book.counts(event.kind) and _enter(book, event):
                changed.add(name)
        return [(namespace, name) for name in changed]

    def _own(self, event: Frame, namespace: str) -> set[str]:
        """A quota itself changed; its name if its status may have to."""
        name = event.stored.name
        books = self._books.setdefault(namespace, {})
        if event.type == "DELETED":
            books.pop(name, None)
            if not books:
                del self._books[namespace]
            return set()
        known = books.get(name)
        if known is None or known.spec != (event.doc.get("spec") or {}):
            books[name] = opened(self._cache, event.doc)
        return {name}

    async def reconcile(self, key: Key) -> Answer:
        namespace, name = key
        quota = self._cache.get(kinds.RESOURCE_QUOTA, namespace, name)
        book = self._books.get(namespace, {}).get(name)
        if quota is None or book is None:
            return sooner()
        now = self._clock.now()
        next_end = book.expire(now)
        status = status_of(book)
        if status != quota.get("status"):
            told = {**quota, "status": status}
            await self._client.write(Update(kinds.RESOURCE_QUOTA, told, "status"))
        return sooner(None if next_end is None else next_end - now + 1)


def _enter(book: Tally, event: Frame) -> bool:
    if event.type == "DELETED":
        return book.drop(event.stored.key)
    return book.put(event.kind, event.stored.key, event.doc)
