"""Fences: writes that count only while a Lease is held.

A loop that was paused, or cut off, may wake up when another server has taken over. What it has
queued by then must come to nothing, so every write of it carries a guard into the store's
transaction: the Lease is as this server knows it, and that is its own.
"""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.errors import Unavailable
from longshore.core.objects.kinds import Doc
from longshore.core.store.protocol import Guard
from longshore.core.watch.cache import Cache
from longshore.core.watch.stored import Stored

# A revision that no key is ever at.
_NEVER = -1


class Fence:
    """One term of office: from an acquisition of a Lease by holder until the next one by anybody,
    which spec.leaseTransitions counts."""

    def __init__(self, namespace: str, name: str, holder: str, transitions: int) -> None:
        self.holder, self.transitions = holder, transitions
        self._name = f"{namespace}/{name}"
        self._key = kinds.LEASE.key(namespace, name)
        # Of the Lease as it was looked at last: asked for each write, it changes every few seconds.
        self._seen: Stored | None = None
        self._guard = Guard(self._key, _NEVER)

    def guard(self, cache: Cache) -> Guard:
        """What the store has to find. It finds it never if the term is over as far as is known."""
        stored = cache.shelf(kinds.LEASE).get(self._key)
        if stored is not self._seen or stored is None:
            holds = stored is not None and self._is_ours(stored.doc)
            revision = stored.revision if stored is not None and holds else _NEVER
            self._seen, self._guard = stored, Guard(self._key, revision)
        return self._guard

    def check(self, cache: Cache) -> None:
        """Raises Unavailable if the term is over."""
        if self.guard(cache).revision == _NEVER:
            raise Unavailable(f"the lease {self._name} is no longer held by {self.holder}")

    def _is_ours(self, lease: Doc) -> bool:
        spec = lease.get("spec") or {}
        holder, transitions = spec.get("holderIdentity"), spec.get("leaseTransitions", 0)
        return bool(holder == self.holder and transitions == self.transitions)
