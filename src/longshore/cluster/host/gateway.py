"""What joins the LAN of several servers to the machine: Services on 127.0.0.1, and the way out.

One server alone does this itself. Several are in namespaces of their own, and any of them may end, so
it is a process of its own, a client of whichever answers.
"""

from __future__ import annotations

import asyncio
import contextlib

from longshore.base.clock import Clock, SystemClock
from longshore.cluster.config import GATEWAY, ClusterConfig, ClusterPaths
from longshore.cluster.host.machine import lan_namespace, servers_of
from longshore.cluster.host.process import prepare_process, run_to_the_end, until_signalled
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context
from longshore.doors.kubernetes.client import HttpClient, Introduction
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.network.balancer.run import Balancer
from longshore.machinery.network.namespaces import socket_in
from longshore.machinery.network.uplink import Uplink

_PULSE_S = 10.0


def main(config: ClusterConfig, paths: ClusterPaths) -> None:
    """Its life, until SIGTERM."""
    prepare_process(f"longshore-{GATEWAY}")
    run_to_the_end(until_signalled(_run(config, paths)))


async def _notice_silence(client: HttpClient, clock: Clock) -> None:
    """A server that falls silent is left when a request has no answer, and watches request nothing."""
    while True:
        await clock.sleep(_PULSE_S)
        with contextlib.suppress(ApiError):
            await client.get(kinds.SERVICE, "default", "kubernetes")


async def _run(config: ClusterConfig, paths: ClusterPaths) -> None:
    clock, lan = SystemClock(), lan_namespace(paths)
    client = HttpClient(
        servers_of(config, GATEWAY),
        client_context(Pair.named(paths.pki, GATEWAY), paths.pki / "ca.crt"),
        clock,
        socket_factory=lambda: socket_in(lan),
        said=Introduction("longshore-balancer"),
    )
    journal = Journal(client, clock)
    try:
        async with asyncio.TaskGroup() as crew:
            crew.create_task(journal.run(), name="events")
            crew.create_task(_notice_silence(client, clock), name="pulse")
            crew.create_task(Balancer(client, lan, clock, journal).run(), name="balancer")
            if config.uplink == "user":
                crew.create_task(Uplink(lan, paths.uplink, clock).run(), name="uplink")
    finally:
        client.close()
