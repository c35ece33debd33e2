"""Play a script on a simulated cluster, and record what can be known of it from outside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.testing.loop import LoopClock, SimulatedLoop
from longshore.testing.simulator.cluster import SimulatedCluster
from longshore.testing.simulator.deeds import Users
from longshore.testing.simulator.faults import BREAK
from longshore.testing.simulator.record import Record
from longshore.testing.simulator.script import Step
from longshore.testing.simulator.watchers import Watcher

WATCHED = (kinds.POD, kinds.CONFIG_MAP, kinds.DEPLOYMENT, kinds.NODE)
# Until all nodes are there; and after the last step, until all must have come to rest.
_BEGIN_S = 15.0
CALM_S = 900.0
# It is at rest when nothing has been written for so long, but that nodes live: pods leave a dead node
# after 300 s, and a back-off is at most five minutes long.
_REST_S = 330.0
_LOOK_S = 10.0
_MACHINES_S = 2.0
_RESTLESS = (kinds.LEASE.prefix, kinds.EVENT.prefix)


def play(
    script: Sequence[Step], seed: int, nodes: int, calm_s: float = CALM_S, servers: int = 1
) -> Record:
    """Everything that happened. The same arguments give the same record, in every process that
    hashes alike (PYTHONHASHSEED)."""
    with contextlib.closing(SimulatedLoop(Chance.seeded(f"order {seed}"))) as loop:
        loop.set_exception_handler(lambda _loop, _context: None)
        clock = LoopClock(loop)
        cluster = SimulatedCluster(clock, Chance.seeded(f"cluster {seed}"), nodes, servers)
        player = _Player(cluster, script)
        try:
            loop.run_until_complete(player.run(calm_s))
        except BaseExceptionGroup as group:
            player.record.died = "; ".join(f"{type(e).__name__}: {e}" for e in _leaves(group))
        player.record.asked = player.users.asked
        return player.record


class _Player:
    def __init__(self, cluster: SimulatedCluster, script: Sequence[Step]) -> None:
        self.record = Record(cluster.medium.log)
        self.users = Users(cluster)
        self._cluster = cluster
        self._script = script

    async def run(self, calm_s: float) -> None:
        async with asyncio.TaskGroup() as crew:
            await self._cluster.start(crew)
            watching = [crew.create_task(one.run()) for one in self._watchers()]
            watching.append(crew.create_task(self._look_at_machines()))
            await self._cluster.clock.sleep(_BEGIN_S)
            async with asyncio.TaskGroup() as stage:
                await self._steps(stage)
            for name in self._cluster.nodes:  # or nothing that waits for room could come to rest
                await self.users.do("uncordon", {"node": name})
            for name in self._ticking():  # what makes something each minute never rests
                await self.users.do("suspend cron", {"name": name, "suspend": True})
            await self._rest(calm_s)
            await self.users.look_around()
            for task in watching:
                task.cancel()
            await self._cluster.stop()

    def _ticking(self) -> list[str]:
        made = (step.args["name"] for step in self._script if step.what == "create cron")
        return sorted(set(made))

    async def _rest(self, at_most_s: float) -> None:
        """Wait until the cluster is at rest."""
        clock, log = self._cluster.clock, self._cluster.medium.log
        since = clock.monotonic()
        end, seen = since + at_most_s, len(log)
        while clock.monotonic() < min(end, since + _REST_S):
            await clock.sleep(min(_LOOK_S, end - clock.monotonic()))
            if any(not entry.key.startswith(_RESTLESS) for entry in log[seen:]):
                since = clock.monotonic()
            seen = len(log)

    async def _look_at_machines(self) -> None:
        clock, seen = self._cluster.clock, self.record.running
        begun = clock.monotonic()
        while True:
            await clock.sleep(_MACHINES_S)
            now = self._cluster.running()
            if not seen or seen[-1][1] != now:
                seen.append((clock.monotonic() - begun, now))

    def _watchers(self) -> list[Watcher]:
        watchers = [Watcher(self._cluster, kind) for kind in WATCHED]
        for kind, one in zip(WATCHED, watchers, strict=True):
            self.record.watches[kind.prefix] = one.seen
        return watchers

    async def _steps(self, stage: asyncio.TaskGroup) -> None:
        clock, begun = self._cluster.clock, self._cluster.clock.monotonic()
        for step in self._script:
            await clock.sleep(begun + step.at - clock.monotonic())
            happens = BREAK.get(step.what)
            if happens is not None:
                stage.create_task(happens(self._cluster, step.args), name=step.what)
            else:
                stage.create_task(self.users.do(step.what, step.args), name=step.what)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
