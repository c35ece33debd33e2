"""Giving way: what can wait, such as news of what was done, is written while others have nothing to do."""

from __future__ import annotations

from longshore.base.clock import Clock

# One look, and how much later than asked for a busy loop comes back from it.
LOOK_S, LATE_S = 0.01, 0.005
# After so many looks it is its turn all the same: some 1 s of a burst in turns of 50 ms.
LOOKS_MAX = 20


async def give_way(clock: Clock) -> None:
    """Return when the event loop is not busy with others, which is seen by how late a short sleep
    ends; or after LOOKS_MAX looks."""
    for _ in range(LOOKS_MAX):
        begun = clock.monotonic()
        await clock.sleep(LOOK_S)
        if clock.monotonic() - begun < LOOK_S + LATE_S:
            return
