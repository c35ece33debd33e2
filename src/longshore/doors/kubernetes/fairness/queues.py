"""The queues of one priority level, and whose turn it is. Pure.

Start-time fair queueing: each queue has a tag, the virtual time at which its next request may
start. The queue with the lowest tag is next, and its tag grows by the work that it was given. So
queues that always have something waiting are given equal work, to within the largest request, and
one that comes back after a pause is next at once but has not saved anything up.

KEP-1040 ("Dispatching") tells virtual time by the clock and by how long requests took. Here it is
told by the work that is dispatched: the requests of a server with one thread do not overlap.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterator, Sequence


class Waiting:
    """A request, and the queue it is in. seats is how many it will hold; work, in plain reads,
    what it costs its flow."""

    __slots__ = ("queue", "seats", "work")

    def __init__(self, seats: int, work: int) -> None:
        self.seats = seats
        self.work = work
        self.queue: Queue | None = None


class Queue:
    """First come, first served."""

    __slots__ = ("listed", "start", "waiting", "work")

    def __init__(self) -> None:
        self.waiting: OrderedDict[Waiting, None] = OrderedDict()
        self.work = 0
        self.start = 0
        # Whether the queue is in the heap, where it may stay for a while after it became empty.
        self.listed = False


class Queues:
    """count queues of at most length requests each; a flow joins one of the hand that is dealt
    to it, so queues exist from when a flow first uses them."""

    def __init__(self, count: int, hand: int, length: int) -> None:
        self.count = count
        self.hand = hand
        self.length = length
        self.waiting = 0
        self._queues: dict[int, Queue] = {}
        self._heap: list[tuple[int, int, Queue]] = []
        self._order = itertools.count()
        self._now = 0

    def reshape(self, count: int, hand: int, length: int) -> None:
        """Other numbers from now on; who waits keeps its place."""
        if (count, hand) != (self.count, self.hand):
            self._queues = {}
        self.count, self.hand, self.length = count, hand, length

    def join(self, hand: Sequence[int], request: Waiting) -> bool:
        """Wait in the one of these queues that has the least to do; False if it is full."""
        queue = min((self._at(card) for card in hand), key=_load)
        if len(queue.waiting) >= self.length:
            return False
        request.queue = queue
        queue.waiting[request] = None
        queue.work += request.work
        self.waiting += 1
        if not queue.listed:
            queue.start = max(queue.start, self._now)
            self._list(queue)
        return True

    def head(self) -> Waiting | None:
        """Who is next."""
        while self._heap:
            queue = self._heap[0][2]
            if queue.waiting:
                return next(iter(queue.waiting))
            heapq.heappop(self._heap)
            queue.listed = False
        return None

    def dispatch(self, request: Waiting) -> None:
        """Let the one go whom head() told."""
        self._now, _, queue = heapq.heappop(self._heap)
        queue.start = self._now + request.work
        self.leave(request)
        if queue.waiting:
            self._list(queue)
        else:
            queue.listed = False

    def leave(self, request: Waiting) -> None:
        """Give up waiting."""
        queue, request.queue = request.queue, None
        assert queue is not None
        del queue.waiting[request]
        queue.work -= request.work
        self.waiting -= 1

    def everyone(self) -> Iterator[Waiting]:
        for _, _, queue in self._heap:
            yield from queue.waiting

    def _at(self, card: int) -> Queue:
        queue = self._queues.get(card)
        if queue is None:
            queue = self._queues[card] = Queue()
        return queue

    def _list(self, queue: Queue) -> None:
        heapq.heappush(self._heap, (queue.start, next(self._order), queue))
        queue.listed = True


def _load(queue: Queue) -> tuple[int, int]:
    return queue.work, queue.start
