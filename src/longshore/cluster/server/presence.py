"""Which of several servers are there: each says so in a Lease, and who leads keeps the `kubernetes`
Service to those that do.

The Leases are upstream's (KEP-1965, apiserver identity): apiserver-NAME in kube-system, by their label.
Theirs last an hour, for they tell which versions are stored; these say who can be reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from longshore.base.addresses import API_PORT
from longshore.base.clock import Clock, rfc3339_micro
from longshore.cluster.server.bootstrap import point_at
from longshore.core.objects.errors import ApiError, Expired, NotFound
from longshore.core.objects.kinds import LEASE, Doc
from longshore.core.registry.client import Client, Create, Delete, Patch

NAMESPACE = "kube-system"
IDENTITY = {"apiserver.kubernetes.io/identity": "kube-apiserver"}
ADDRESS = "longshore.io/address"
# How often living servers are counted.
_LOOK_S = 1.0
_END_S = 2.0
log = logging.getLogger("longshore.presence")


@dataclass(frozen=True, slots=True)
class Me:
    """A server: its name, the address at which pods reach it, and how many seconds after its last
    word it counts as gone."""

    name: str
    address: str
    lease_s: int


class Presence:
    """Says that a server is there."""

    def __init__(self, me: Me, client: Client, clock: Clock) -> None:
        self._me, self._client, self._clock = me, client, clock
        self._lease = f"apiserver-{me.name}"

    async def run(self) -> None:
        """Until cancelled; then it says no more."""
        try:
            while True:
                try:
                    await self._say()
                except ApiError as error:
                    log.info("%s was not renewed: %s", self._lease, error)
                await self._clock.sleep(self._me.lease_s / 3)
        finally:
            with contextlib.suppress(ApiError, TimeoutError):
                async with asyncio.timeout(_END_S):
                    await self._client.write(Delete(LEASE, NAMESPACE, self._lease))

    async def _say(self) -> None:
        metadata = {"annotations": {ADDRESS: self._me.address}, "labels": IDENTITY}
        spec = {
            "holderIdentity": self._lease,
            "leaseDurationSeconds": self._me.lease_s,
            "renewTime": rfc3339_micro(self._clock.now()),
        }
        told = {"metadata": metadata, "spec": spec}
        try:
            await self._client.write(Patch(LEASE, NAMESPACE, self._lease, told))
        except NotFound:
            named = {**metadata, "namespace": NAMESPACE, "name": self._lease}
            await self._client.write(Create(LEASE, {"metadata": named, "spec": spec}))


class LivingServers:
    """Keeps the `kubernetes` Service to the servers that are there, which all listen at one port. Runs in
    one of them. As in an election, what counts is how long ago, by the clock here, a Lease was seen to
    change."""

    def __init__(self, client: Client, clock: Clock, port: int = API_PORT) -> None:
        self._client, self._clock, self._port = client, clock, port
        self._heard: dict[str, tuple[Doc, float]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._listen(), name="servers are heard of")
            while True:
                await self._clock.sleep(_LOOK_S)
                try:
                    await point_at(self._client, self.living(), self._port)
                except ApiError as error:
                    log.warning("the kubernetes Service was not kept: %s", error)

    def living(self) -> list[str]:
        """Addresses of those that were heard of lately, sorted."""
        now = self._clock.monotonic()
        return sorted(
            lease["metadata"]["annotations"][ADDRESS]
            for lease, at in self._heard.values()
            if now - at <= lease["spec"]["leaseDurationSeconds"]
        )

    async def _listen(self) -> None:
        chosen = ",".join(f"{key}={value}" for key, value in IDENTITY.items())
        while True:
            try:
                listing, feed = await self._client.list_and_watch(LEASE, NAMESPACE, labels=chosen)
                self._heard.clear()
                for lease in listing.items:
                    self._hear(lease)
                while True:
                    for change in await feed.next_batch():
                        if change.type == "DELETED":
                            self._heard.pop(change.doc["metadata"]["name"], None)
                        else:
                            self._hear(change.doc)
            except Expired:
                continue

    def _hear(self, lease: Doc) -> None:
        metadata = lease["metadata"]
        if ADDRESS in (metadata.get("annotations") or {}):
            self._heard[metadata["name"]] = lease, self._clock.monotonic()
