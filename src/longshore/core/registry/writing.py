"""From a plan to what is stored: the turn of the loop in which a write is planned and queued, again if
another server was faster; and what a reader waits for where there are others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from longshore.base.clock import Clock
from longshore.core.objects.errors import ApiError, Conflict
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.registry.commits import CommitQueue, Intent, Pending
from longshore.core.registry.fencing import Fence
from longshore.core.registry.planning import Plan
from longshore.core.registry.questions import Undecided
from longshore.core.registry.reads import Reader, reached
from longshore.core.registry.sharing import Sharing
from longshore.core.watch.stored import Stored

# How often a write is planned again because other servers were faster.
STALE_TRIES = 30


class Writing(Reader):
    """Reads, and runs plans. Whoever inherits it says what queue there is and, if there are other
    servers, what is shared with them."""

    clock: Clock
    _queue: CommitQueue
    _shared: Sharing | None

    # --- what is newest ---

    async def confirm(self) -> None:
        """Return once the cache has all that anybody was told is written: at once, where nobody else
        writes. Raises Unavailable."""
        if self._shared is not None:
            await self._shared.following.confirm()

    def come_to(self, revision: str, check: Callable[[], None]) -> Awaitable[None]:
        """Wait until a read of that resourceVersion can be answered; none given asks for what is newest.
        See reached() and confirm()."""
        if revision or self._shared is None:
            return reached(self.cache, self.clock, revision, check)
        check()
        return self._shared.following.confirm()

    @property
    def is_shared(self) -> bool:
        """Whether other servers write to the store too."""
        return self._shared is not None

    @property
    def hears(self) -> bool:
        """Whether the store answers, as far as is known."""
        return self._shared is None or self._shared.hears

    # --- plans ---

    async def _write(self, ref: Ref, plan: Plan, fence: Fence | None = None) -> Stored:
        """Plan a write on the newest state and have it stored, until nobody else is faster."""
        stale, is_newest = 0, self._shared is None
        while stale < STALE_TRIES:
            self._queue.check_room()
            busy = self._queue.in_flight(ref.key)
            if busy is not None:
                await busy.settled()
                continue
            if fence is not None:
                fence.check(self.cache)
            try:
                intent = plan(self.cache.shelf(ref.kind).get(ref.key))
            except ApiError as error:
                if is_newest or self._is_final(error):
                    raise
                intent = None
            if isinstance(intent, Intent):
                stored = await self._queue.put(ref, intent, fence).wait()
                if stored is not None:
                    return stored
                stale += 1
                # Another server was faster: nothing can be planned before that is heard of, and a try
                # made meanwhile would be in vain. On a store of one's own it is heard of already.
                await self.confirm()
                is_newest = True
            elif intent is not None and is_newest:
                return intent
            else:
                # A refusal, or that nothing is to be done, counts by what is newest.
                await self.confirm()
                is_newest = True
        raise Conflict.of(ref.kind, ref.name)

    def _queued(self, ref: Ref, plan: Plan, fence: Fence | None = None) -> Doc | Pending | None:
        """Run a plan and queue its outcome at once; None if it has to wait: for another write of its
        object, or for what other servers have written."""
        self._queue.check_room()
        key = ref.key
        if self._queue.in_flight(key) is not None:
            return None
        if fence is not None:
            fence.check(self.cache)
        intent = plan(self.cache.shelf(ref.kind).get(key))
        if isinstance(intent, Stored):
            return intent.doc if self._shared is None else None
        return self._queue.put(ref, intent, fence)

    async def _write_all(self, plans: Sequence[tuple[Ref, Plan]]) -> list[ApiError]:
        """Run many plans in one go, so that they share a transaction; what speaks against some."""
        begun: list[Doc | Pending | ApiError | None] = []
        for ref, plan in plans:
            try:
                begun.append(self._queued(ref, plan))
            except ApiError as error:
                begun.append(error if self._is_final(error) else None)
        refused = [answer for answer in begun if isinstance(answer, ApiError)]
        for (ref, plan), answer in zip(plans, begun, strict=True):
            try:
                if answer is None or (isinstance(answer, Pending) and await answer.wait() is None):
                    await self._write(ref, plan)
            except ApiError as error:
                refused.append(error)
        return refused

    def _is_final(self, error: ApiError) -> bool:
        """Whether what speaks against a plan may not be outdated."""
        return self._shared is None or isinstance(error, Undecided)
