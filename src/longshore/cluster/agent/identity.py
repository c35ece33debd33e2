"""What a node's agent shows to servers and to those who ask it, kept fresh."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.core.pki import tls
from longshore.core.pki.pairs import Pair
from longshore.core.registry.client import Client
from longshore.machinery.kubelet.certificates import Renewal, client_purpose, serving_purpose


class NodeIdentity:
    """Two pairs in a directory, NAME-client and NAME-server, and the authority's certificate."""

    def __init__(self, pki: Path, node: str, address: str, clock: Clock) -> None:
        self._node, self._address, self._clock = node, address, clock
        self._trusted = pki / "ca.crt"
        self._shown = Pair.named(pki, f"{node}-client")
        self._served = Pair.named(pki, f"{node}-server")
        self.to_servers = tls.client_context(self._shown, self._trusted)
        self.to_callers = tls.server_context(self._served, self._trusted)

    async def run(self, client: Client, chance: Chance) -> None:
        """Renew both before they end, until cancelled."""
        serving = serving_purpose(self._node, (self._address,))
        renewals = (
            Renewal(self._shown, client_purpose(self._node), client, self._clock, self._reload),
            Renewal(self._served, serving, client, self._clock, self._reload),
        )
        async with asyncio.TaskGroup() as crew:
            for renewal in renewals:
                crew.create_task(renewal.run(chance), name="certificate")

    def _reload(self) -> None:
        """Either may be new, and the authority's too."""
        shown: tuple[tuple[ssl.SSLContext, Pair], ...] = (
            (self.to_servers, self._shown),
            (self.to_callers, self._served),
        )
        for context, pair in shown:
            tls.reload(context, pair, self._trusted)
