"""Look at the node every few seconds, and end pods when it runs short."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import TERMINAL_PHASES, Verdict, key_of
from longshore.machinery.kubelet.resources.allocatable import reserved_memory
from longshore.machinery.kubelet.resources.around import Around, PodHere
from longshore.machinery.kubelet.resources.eviction.limits import exceeded, has_limits
from longshore.machinery.kubelet.resources.eviction.plan import (
    Memory,
    Shortage,
    crossed,
    observe,
)
from longshore.machinery.kubelet.resources.eviction.ranking import is_critical, ranked
from longshore.machinery.kubelet.resources.eviction.words import REASON, shortage_message, turns
from longshore.machinery.kubelet.resources.meter import Meter
from longshore.machinery.kubelet.resources.thresholds import (
    DISK,
    INODES,
    Threshold,
    thresholds_of,
)
from longshore.machinery.kubelet.resources.use import Reading
from longshore.machinery.runtime.protocol import RuntimeFailure

_log = logging.getLogger("longshore.kubelet.eviction")
# pkg/kubelet/eviction: immediateEvictionGracePeriodSeconds, podCleanupTimeout, podCleanupPollFreq
_AT_ONCE_S = 1.0
_CLEANUP_S = 30.0
_CLEANUP_LOOK_S = 1.0


class Evictor:
    """One per node. reclaim() frees what no pod needs; conditions are those of the node that are True
    now."""

    def __init__(
        self, around: Around, meter: Meter, reclaim: Callable[[], Awaitable[None]]
    ) -> None:
        self._around = around
        self._settings = around.settings
        self._thresholds = thresholds_of(around.settings)
        self._meter = meter
        self._reclaim = reclaim
        self._clock = around.clock
        self._memory = Memory()
        self.conditions: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Until cancelled. Nothing is measured that nobody has bounded."""
        while True:
            try:
                evicted = await self._look()
            except (OSError, RuntimeFailure) as error:
                _log.warning("the node's resources cannot be measured: %s", error)
                evicted = []
            if evicted:
                await self._until_gone(evicted)
            else:
                await self._clock.sleep(self._settings.eviction_every_s)

    async def _look(self) -> Sequence[PodHere]:
        """Those that were ended now."""
        readings = await self._readings() if self._thresholds else {}
        shortage = self._judge(readings)
        if evicted := await self._enforce_limits():
            return evicted
        return await self._relieve(shortage, readings) if shortage.due else []

    def _judge(self, readings: Mapping[str, Reading]) -> Shortage:
        now, transition_s = self._clock.monotonic(), self._settings.eviction_transition_s
        shortage = observe(self._thresholds, readings, self._memory, now, transition_s)
        self._memory = shortage.memory
        before, self.conditions = self.conditions, shortage.conditions
        if before != self.conditions:
            self._tell(before)
        return shortage

    def _tell(self, before: frozenset[str]) -> None:
        for reason in turns(before, self.conditions):
            node = self._around.config.node_name
            self._around.recorder.event(
                self._around.registered.node,
                "Normal",
                reason,
                f"Node {node} status is now: {reason}",
            )
        self._around.registered.hurry()

    async def _readings(self) -> Mapping[str, Reading]:
        """What pods leave of allocatable memory differs from what is left in all only where some is
        set aside."""
        readings = self._around.gauges().read()
        reserved, memory = reserved_memory(self._settings), readings.get("memory.available")
        if not reserved or memory is None:
            return readings
        theirs = memory.capacity - reserved
        left = Reading(max(0, theirs - await self._meter.memory()), theirs)
        return {**readings, "allocatableMemory.available": left}

    # -- limits that pods have ---------------------------------------------------------------

    async def _enforce_limits(self) -> list[PodHere]:
        bounded = [one for one in self._alive() if has_limits(one.pod)]
        uses = await self._meter.pods(bounded) if bounded else []
        evicted = []
        for one, use in zip(bounded, uses, strict=True):
            if (found := exceeded(use)) is None:
                continue
            signal, message = found
            if self._evict(one, message, _AT_ONCE_S, disrupts=False):
                self._around.evictions.add((signal,))
                evicted.append(one)
        return evicted

    # -- shortage ----------------------------------------------------------------------------

    async def _relieve(
        self, shortage: Shortage, readings: Mapping[str, Reading]
    ) -> Sequence[PodHere]:
        """Free what no pod needs; if that is not enough, end one pod."""
        first = shortage.due[0]
        attempt = f"Attempting to reclaim {first.resource}"
        self._around.recorder.event(
            self._around.registered.node, "Warning", "EvictionThresholdMet", attempt
        )
        if first.resource in (DISK, INODES):
            await self._reclaim()
            if not crossed(self._thresholds, await self._readings(), reclaiming=True):
                return []
        alive = {one.pod["metadata"]["uid"]: one for one in self._alive() if any(one.running())}
        for use in ranked(await self._meter.pods(alive.values()), first.resource):
            chosen = alive[use.pod["metadata"]["uid"]]
            message = shortage_message(use, shortage.due, first.resource, readings)
            if self._evict(chosen, message, self._grace_s(first), disrupts=True):
                self._around.evictions.add((first.signal,))
                return [chosen]
        _log.warning("%s is short, and there is no pod that may be ended", first.resource)
        return []

    def _grace_s(self, threshold: Threshold) -> float:
        return _AT_ONCE_S if threshold.hard else self._settings.eviction_max_pod_grace_s

    def _evict(self, one: PodHere, message: str, grace_s: float, *, disrupts: bool) -> bool:
        if is_critical(one.pod):
            return False
        _log.warning("evicting pod %s: %s", key_of(one.pod), message)
        self._around.recorder.event(one.pod, "Warning", REASON, message)
        one.condemn(Verdict(REASON, message, grace_s, disrupts))
        return True

    def _alive(self) -> list[PodHere]:
        """Those that nobody has ended yet."""
        return [
            one
            for one in self._around.pods()
            if not one.condemned and _phase(one.pod) not in TERMINAL_PHASES
        ]

    async def _until_gone(self, evicted: Sequence[PodHere]) -> None:
        """What they used is only free when they have ended."""
        deadline = self._clock.monotonic() + _CLEANUP_S
        while self._clock.monotonic() < deadline:
            await self._clock.sleep(_CLEANUP_LOOK_S)
            if not any(True for one in evicted for _ in one.running()):
                return


def _phase(pod: Doc) -> str:
    return str((pod.get("status") or {}).get("phase") or "")
