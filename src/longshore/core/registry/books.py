"""What plans charge in the turn in which they run: quotas of namespaces, and what nodes have."""

from __future__ import annotations

from longshore.core.registry.capacity.ledger import Ledger
from longshore.core.registry.commits import Pending
from longshore.core.registry.quotas import QuotaBooks
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame


class Books:
    """All of them, kept by what becomes of the writes."""

    def __init__(self, cache: Cache) -> None:
        self.quotas = QuotaBooks(cache)
        self.ledger = Ledger(cache)

    def read_from(self, cache: Cache) -> None:
        """Another cache is the one that counts."""
        self.quotas.cache = self.ledger.cache = cache

    def applied(self, frame: Frame) -> None:
        """A change has become visible."""
        self.quotas.applied(frame)
        self.ledger.applied(frame)

    def settle(self, failed: Pending) -> None:
        """A write came to nothing: what is stored counts again."""
        self.quotas.settle(failed.kind, failed.key)
        self.ledger.settle(failed.kind, failed.key, failed.intent.doc)

    def reload(self) -> None:
        """The cache was read anew."""
        self.quotas.reload()
        self.ledger.reload()
