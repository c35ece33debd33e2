"""How many pods to decide on at a time: as many as take the loop a few milliseconds."""

from __future__ import annotations

from collections import deque

# The loop is held for about so long by a turn: planning, and handing its bindings over. What others
# have to do between turns comes on top, and one pod alone is to be bound within 20 ms.
HELD_S = 0.004
LEAST, MOST = 64, 5000
# Turns that are remembered: the cheapest of them tells what a pod costs while nobody interferes.
REMEMBERED = 32


class TurnSize:
    """Learns from what turns cost."""

    def __init__(self) -> None:
        self._costs: deque[float] = deque(maxlen=REMEMBERED)
        self.most = LEAST

    def learn(self, pods: int, held_s: float) -> None:
        """A turn with so many pods held the loop for so long."""
        if pods < LEAST:
            return  # mostly what every turn costs, however small
        self._costs.append(held_s / pods)
        cost = min(self._costs)
        self.most = MOST if cost * MOST <= HELD_S else max(LEAST, int(HELD_S / cost))
