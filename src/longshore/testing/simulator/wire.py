"""The network between the server and those who ask it: slow, deaf, and forgetful when told to. An
agent has a Client over it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.core.objects.errors import Expired
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Answers, Change, Client, Feed, Listing, Operation
from longshore.testing.simulator.server import SimulatedServer, Unreachable

T = TypeVar("T")
# When somebody who hears nothing gives up.
_TIMEOUT_S = 10.0


@dataclass(slots=True)
class Weather:
    """What the network does to a message: each way takes up to delay_s; lost and doubled are
    probabilities of it; cut loses everything. drops counts the feeds that it has broken."""

    delay_s: float = 0.001
    lost: float = 0.0
    doubled: float = 0.0
    cut: bool = False
    drops: int = 0


class Way:
    """What lies between two who talk, under some weather."""

    def __init__(self, weather: Weather, clock: Clock, chance: Chance) -> None:
        self.weather = weather
        self.clock = clock
        self._chance = chance

    async def cross(self) -> None:
        """One message, one way. Raises Unreachable once its sender gives it up for lost."""
        if self.weather.cut or self._happens(self.weather.lost):
            await self.clock.sleep(_TIMEOUT_S)
            raise Unreachable("no answer")
        await self.clock.sleep(self._chance.uniform(0.0, self.weather.delay_s))

    def doubles(self) -> bool:
        """Whether a message arrives twice."""
        return self._happens(self.weather.doubled)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._chance.uniform(0.0, 1.0) < probability


class Wire:
    """Client over a way, to whichever server is up."""

    def __init__(self, server: Callable[[], SimulatedServer], user: str, way: Way) -> None:
        self._server = server
        self._user = user
        self._way = way

    async def get(self, kind: Kind, namespace: str, name: str) -> Doc:
        return await self._sent(lambda client: client.get(kind, namespace, name))

    async def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        return await self._sent(
            lambda client: client.list(kind, namespace, labels=labels, fields=fields)
        )

    async def list_and_watch(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[Listing, Feed]:
        server = self._server()
        listing, feed = await self._sent(
            lambda client: client.list_and_watch(kind, namespace, labels=labels, fields=fields)
        )
        return listing, _WireFeed(feed, server, self._way)

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        return await self._sent(lambda client: client.submit(operations), again=True)

    async def write(self, operation: Operation) -> Doc:
        return await self._sent(lambda client: client.write(operation), again=True)

    async def _sent(
        self, ask: Callable[[Client], Coroutine[Any, Any, T]], *, again: bool = False
    ) -> T:
        """One request and its answer. again: it may arrive twice."""
        await self._way.cross()
        server = self._server()
        answer = await server.ask(lambda: ask(server.client(self._user)))
        if again and self._way.doubles():
            await server.ask(lambda: ask(server.client(self._user)))
        await self._way.cross()
        return answer


class _WireFeed:
    """A feed that ends with its server, and when the weather breaks it."""

    def __init__(self, feed: Feed, server: SimulatedServer, way: Way) -> None:
        self._feed = feed
        self._server = server
        self._weather, self._clock = way.weather, way.clock
        self._drops = way.weather.drops

    async def next_batch(self) -> list[Change]:
        changes = await self._server.ask(self._feed.next_batch)
        if self._weather.cut:
            await self._clock.sleep(_TIMEOUT_S)
        if self._weather.cut or self._weather.drops != self._drops:
            raise Expired("the connection broke")
        return changes

    def close(self) -> None:
        self._feed.close()
