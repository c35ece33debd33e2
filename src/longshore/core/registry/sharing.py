"""What a registry has besides where other servers write to its store too."""

from __future__ import annotations

import asyncio

from longshore.base.clock import Clock
from longshore.core.objects.kinds import Kinds
from longshore.core.registry.claims import ClaimRules
from longshore.core.registry.following import Following
from longshore.core.registry.shared import SharedQueue
from longshore.core.store.protocol import SharedStore


class Sharing:
    """The queue of its writes, and what follows those of all."""

    def __init__(self, store: SharedStore, clock: Clock, kinds: Kinds, rules: ClaimRules) -> None:
        self.following = Following(store, clock, kinds)
        self.queue = SharedQueue(store, self.following.cache, clock, rules.of, self.following.reach)
        self.following.in_flight = self.queue.in_flight
        self._store = store

    @property
    def hears(self) -> bool:
        """Whether the store answers, as far as is known."""
        return self.following.hears and not self.queue.silent

    async def run(self) -> None:
        """All of it, until cancelled. Raises StoreError when this server may not go on: another has
        taken its name over, or the store was restored."""
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self.queue.run(), name="commits")
            crew.create_task(self.queue.watch_over(), name="patience of writers")
            crew.create_task(self.following.run(), name="following the store")
            crew.create_task(self._store.run(), name="upkeep of the store")
