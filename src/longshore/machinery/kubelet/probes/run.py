"""Keep probing one running container and know its health. Ends with the container."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from longshore.base.clock import Clock
from longshore.machinery.kubelet.lifecycle.model import Health
from longshore.machinery.kubelet.probes.handlers import Checker, Target
from longshore.machinery.kubelet.probes.plan import Probe, Tally, health, probes_of


class Prober:
    """The probes of one attempt of a container. changed() is called when its health does;
    tell(reason, sentence) whenever there is a warning to give."""

    def __init__(
        self,
        target: Target,
        checker: Checker,
        clock: Clock,
        changed: Callable[[], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._target = target
        self._checker = checker
        self._clock = clock
        self._changed = changed
        self._tell = tell
        self._probes = probes_of(target.container)
        self._tallies: dict[str, Tally] = {}
        self.told: Callable[[str, bool], None] = lambda probe, good: None
        """Hears of every probe's outcome."""
        self.task: asyncio.Task[None] | None = None

    @property
    def container_id(self) -> str:
        return self._target.container_id

    @property
    def idle(self) -> bool:
        """Whether there is nothing to probe."""
        return not self._probes

    @property
    def health(self) -> Health:
        tallies = {name: self._tallies[name] for name in self._probes if name in self._tallies}
        return health(self._probes, tallies, self._target.container["name"])

    def believe(self, before: Health) -> None:
        """Begin with what was found earlier instead of nothing."""
        if before.started:
            self._tallies["startup"] = Tally(passed=True)
        if before.ready:
            self._tallies["readiness"] = Tally(passed=True)

    async def run(self) -> None:
        """Startup first; liveness and readiness only once the container has started."""
        startup = self._probes.get("startup")
        if startup is not None and not self._settled(startup):
            await self._repeat(startup)
        if self.health.failed:
            return
        async with asyncio.TaskGroup() as crew:
            for name in ("liveness", "readiness"):
                if (probe := self._probes.get(name)) is not None:
                    crew.create_task(self._repeat(probe), name=f"{name} probe")

    async def _repeat(self, probe: Probe) -> None:
        await self._clock.sleep(probe.initial_delay_s)
        while not self._settled(probe):
            await self._once(probe)
            if not self._settled(probe):
                await self._clock.sleep(probe.period_s)

    def _settled(self, probe: Probe) -> bool:
        """A startup probe ends when it passes; a liveness or startup failure is final."""
        passed = self._tallies.get(probe.name, Tally()).passed
        return passed is not None and (
            probe.name == "startup" or (probe.name == "liveness" and not passed)
        )

    async def _once(self, probe: Probe) -> None:
        outcome = await self._checker.check(probe.handler, self._target, probe.timeout_s)
        self.told(probe.name, outcome.good)
        name = probe.name.capitalize()
        if not outcome.good:
            self._tell("Unhealthy", f"{name} probe failed: {outcome.message}")
        elif outcome.warning:
            self._tell("ProbeWarning", f"{name} probe warning: {outcome.warning}")
        before = self.health
        tally = self._tallies.get(probe.name, Tally())
        self._tallies[probe.name] = tally.after(probe, outcome.good)
        if self.health != before:
            self._changed()
