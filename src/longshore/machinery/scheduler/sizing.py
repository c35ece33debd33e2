"""How many pods to decide on at a time: as many as hold the loop for a few milliseconds."""

from __future__ import annotations

from collections import deque

# A turn holds the loop for about so long, by deciding and by handing its bindings over: what others
# do between turns comes on top, and a pod that comes alone is to be bound within 20 ms.
HELD_S = 0.004
# What one binding takes besides (measured on one core: to plan it in the registry, to make it known,
# and to hear of it).
HANDED_S = 70e-6
LEAST, MOST = 32, 1024
# Turns that are remembered: the cheapest of them tells what a pod costs while nobody interferes.
REMEMBERED = 16


class TurnSize:
    """Learns from what turns cost. Nobody else waits while many come at a time: then turns are as
    large as it takes to keep up with whoever makes them."""

    def __init__(self) -> None:
        self._costs: deque[float] = deque(maxlen=REMEMBERED)
        self._usual = int(HELD_S / HANDED_S)
        self._arrivals = 0

    def next(self, arrivals: int) -> int:
        """How many pods to decide on now; arrivals is how many have ever come."""
        come, self._arrivals = arrivals - self._arrivals, arrivals
        return max(self._usual, min(come, MOST))

    def learn(self, pods: int, decided_s: float) -> None:
        """It took so long to decide about so many pods."""
        if pods < LEAST:
            return  # mostly what every turn costs, however small
        self._costs.append(decided_s / pods)
        self._usual = max(LEAST, int(HELD_S / (HANDED_S + min(self._costs))))
