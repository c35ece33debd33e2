"""What goes wrong in a simulation. Each fault begins, lasts as long as its step says, and is over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from longshore.testing.simulator.cluster import SimulatedCluster
from longshore.testing.simulator.script import Args
from longshore.testing.simulator.seats import Seat
from longshore.testing.simulator.server import Unreachable
from longshore.testing.simulator.wire import Weather

Fault: TypeAlias = Callable[[SimulatedCluster, Args], Coroutine[Any, Any, None]]


async def _server_crash(cluster: SimulatedCluster, args: Args) -> None:
    await cluster.crash_server()
    await cluster.clock.sleep(args["for_s"])
    await cluster.start_server()


async def _node_crash(cluster: SimulatedCluster, args: Args) -> None:
    await cluster.crash_node(args["node"])
    await cluster.clock.sleep(args["for_s"])
    cluster.start_node(args["node"])


async def _node_gone(cluster: SimulatedCluster, args: Args) -> None:
    """A machine is switched off, somebody deletes its Node, and it is switched on again."""
    name = args["node"]
    await cluster.crash_node(name)
    with contextlib.suppress(Unreachable):
        await cluster.ask("DELETE", f"/api/v1/nodes/{name}")
    await cluster.clock.sleep(args["for_s"])
    cluster.start_node(name)


def _weather(cluster: SimulatedCluster, args: Args) -> Weather:
    """That of a node, or of users where no node is named."""
    return cluster.nodes[args["node"]].weather if "node" in args else cluster.outside.weather


async def _node_cut(cluster: SimulatedCluster, args: Args) -> None:
    _weather(cluster, args).cut = True
    await cluster.clock.sleep(args["for_s"])
    _weather(cluster, args).cut = False


async def _lossy(cluster: SimulatedCluster, args: Args) -> None:
    _weather(cluster, args).lost = 0.3
    await cluster.clock.sleep(args["for_s"])
    _weather(cluster, args).lost = 0.0


async def _doubled(cluster: SimulatedCluster, args: Args) -> None:
    _weather(cluster, args).doubled = 0.5
    await cluster.clock.sleep(args["for_s"])
    _weather(cluster, args).doubled = 0.0


async def _delayed(cluster: SimulatedCluster, args: Args) -> None:
    _weather(cluster, args).delay_s = 2.0
    await cluster.clock.sleep(args["for_s"])
    _weather(cluster, args).delay_s = Weather().delay_s


async def _watch_drop(cluster: SimulatedCluster, args: Args) -> None:
    _weather(cluster, args).drops += 1


async def _store_stall(cluster: SimulatedCluster, args: Args) -> None:
    cluster.medium.stall_s = 1.0
    await cluster.clock.sleep(args["for_s"])
    cluster.medium.stall_s = 0.0


async def _store_error(cluster: SimulatedCluster, args: Args) -> None:
    """The medium fails; the server is started anew when it works again, as an operator would."""
    cluster.medium.broken = True
    await cluster.clock.sleep(args["for_s"])
    cluster.medium.broken = False
    await cluster.crash_server()
    await cluster.start_server()


async def _server_lag(cluster: SimulatedCluster, args: Args) -> None:
    """What one of several servers writes and hears comes late; in the end another leads."""
    seat = _seat(cluster, args)
    seat.lag_s = args["lag_s"]
    await cluster.clock.sleep(args["for_s"])
    seat.lag_s = 0.0


async def _server_cut(cluster: SimulatedCluster, args: Args) -> None:
    """Nothing passes between one of several servers and the medium; then all of it does."""
    seat = _seat(cluster, args)
    seat.cut = True
    await cluster.clock.sleep(args["for_s"])
    seat.cut = False


def _seat(cluster: SimulatedCluster, args: Args) -> Seat:
    seats = list(cluster.seats.values())
    number: int = args["number"]
    return seats[number % len(seats)]


async def _disk_full(cluster: SimulatedCluster, args: Args) -> None:
    cluster.medium.full = True
    await cluster.clock.sleep(args["for_s"])
    cluster.medium.full = False


async def _clock_jump(cluster: SimulatedCluster, args: Args) -> None:
    cluster.clock.jump(args["seconds"])


BREAK: Mapping[str, Fault] = {
    "server-crash": _server_crash,
    "server-lag": _server_lag,
    "server-cut": _server_cut,
    "node-crash": _node_crash,
    "agent-restart": _node_crash,
    "node-gone": _node_gone,
    "node-cut": _node_cut,
    "lossy": _lossy,
    "doubled": _doubled,
    "delayed": _delayed,
    "watch-drop": _watch_drop,
    "users-lossy": _lossy,
    "users-doubled": _doubled,
    "users-delayed": _delayed,
    "users-watch-drop": _watch_drop,
    "store-stall": _store_stall,
    "store-error": _store_error,
    "disk-full": _disk_full,
    "clock-jump": _clock_jump,
}
