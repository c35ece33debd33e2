"""Giving way: what can wait, such as news of what was done, is written while others have nothing to do."""

from __future__ import annotations

from longshore.base.clock import Clock

# One look, and how much later than asked for a busy loop comes back from it.
LOOK_S, LATE_S = 0.01, 0.005
# So many punctual looks in a row: a loop in the midst of a burst has short rests too, while the store
# is at work, and one look may fall into such a rest.
CALM_LOOKS = 3
# After so many looks it is its turn all the same: some 1 s of a burst in turns of 30 ms.
LOOKS_MAX = 30


async def give_way(clock: Clock) -> None:
    """Return when the event loop is not busy with others, which is seen by how late short sleeps
    end; or after LOOKS_MAX looks."""
    calm = 0
    for _ in range(LOOKS_MAX):
        begun = clock.monotonic()
        await clock.sleep(LOOK_S)
        punctual = clock.monotonic() - begun < LOOK_S + LATE_S
        calm = calm + 1 if punctual else 0
        if calm == CALM_LOOKS:
            return
