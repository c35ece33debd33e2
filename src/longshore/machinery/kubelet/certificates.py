"""A node's certificates, renewed through the API before they end (KEP-266 for what a node shows to
servers, KEP-267 for what it shows to those who ask it)."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from dataclasses import dataclass

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.pki.lifetimes import lifetime_of
from longshore.core.pki.pairs import Pair, Wanted
from longshore.core.registry.client import Client, Create

log = logging.getLogger("longshore.kubelet.certificates")

# client-go util/certificate: a certificate is renewed when so much of its life is over.
_EARLIEST, _LATEST = 0.7, 0.9
ISSUE_S = 43_200.0
"""How long a request may wait for its signature: a person may have to approve it."""
_LOOK_MIN_S, _LOOK_MAX_S = 0.1, 300.0
_RETRY_MIN_S, _RETRY_MAX_S = 10.0, 3600.0


class NotIssued(Exception):
    """A request that was denied, failed, or waited in vain; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """Which certificate: the signer that gives it, what it says, and what it is for."""

    signer: str
    wanted: Wanted
    usages: tuple[str, ...]


def client_purpose(node: str) -> Purpose:
    """What a node shows to servers."""
    wanted = Wanted(f"system:node:{node}", ("system:nodes",))
    usages = ("digital signature", "client auth")
    return Purpose("kubernetes.io/kube-apiserver-client-kubelet", wanted, usages)


def serving_purpose(node: str, addresses: tuple[str, ...]) -> Purpose:
    """What a node shows to those who ask it."""
    wanted = Wanted(f"system:node:{node}", ("system:nodes",), (node, *addresses))
    usages = ("digital signature", "server auth")
    return Purpose("kubernetes.io/kubelet-serving", wanted, usages)


class Renewal:
    """Keeps one pair of files fresh. renewed is called when there is a new one."""

    def __init__(
        self,
        pair: Pair,
        purpose: Purpose,
        client: Client,
        clock: Clock,
        renewed: Callable[[], None],
    ) -> None:
        self._pair = pair
        self._purpose = purpose
        self._client = client
        self._clock = clock
        self._renewed = renewed

    async def run(self, chance: Chance) -> None:
        """Until cancelled. What fails is tried again, ever more seldom, at least once an hour."""
        wait = _RETRY_MIN_S
        while True:
            due = self._pair.lifetime.renewal(chance.uniform(_EARLIEST, _LATEST))
            await self._clock.sleep(due - self._clock.now())
            try:
                key, certificate = await obtain(self._client, self._clock, self._purpose)
            except (ApiError, NotIssued) as error:
                log.warning("%s is not renewed yet: %s", self._pair.certificate.name, error)
                await self._clock.sleep(wait)
                wait = min(2 * wait, _RETRY_MAX_S)
                continue
            wait = _RETRY_MIN_S
            self._pair.write(key, certificate)
            self._renewed()
            log.info("%s is renewed", self._pair.certificate.name)


async def obtain(client: Client, clock: Clock, purpose: Purpose) -> tuple[bytes, bytes]:
    """A new key and a certificate for it, in PEM form, once it is issued. Raises NotIssued or
    ApiError."""
    # What makes keys is 9 MB of memory, for a moment once in a year.
    from longshore.core.pki import requests

    key, request = requests.make(purpose.wanted)
    asked = await client.write(Create(kinds.CSR, _document(purpose, request)))
    name, deadline = asked["metadata"]["name"], clock.monotonic() + ISSUE_S
    wait = _LOOK_MIN_S
    while True:
        doc = await client.get(kinds.CSR, "", name)
        certificate = _certificate(doc)
        if certificate:
            _check(certificate)
            return key, certificate
        if clock.monotonic() >= deadline:
            raise NotIssued(
                f"request {name} waits for approval: kubectl certificate approve {name}"
            )
        await clock.sleep(wait)
        wait = min(2 * wait, _LOOK_MAX_S)


def _document(purpose: Purpose, request: bytes) -> Doc:
    return {
        "apiVersion": kinds.CSR.api_version,
        "kind": kinds.CSR.name,
        "metadata": {"generateName": "csr-"},
        "spec": {
            "request": base64.b64encode(request).decode(),
            "signerName": purpose.signer,
            "usages": list(purpose.usages),
        },
    }


def _certificate(doc: Doc) -> bytes:
    """What was issued; nothing while nothing is decided. Raises NotIssued."""
    status = doc.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["type"] in ("Denied", "Failed"):
            name, why = doc["metadata"]["name"], condition.get("message") or condition["reason"]
            raise NotIssued(f"request {name} was {condition['type'].lower()}: {why}")
    return base64.b64decode(status.get("certificate") or "")


def _check(certificate: bytes) -> None:
    """Raises NotIssued for what is no certificate: nothing that works is replaced by it."""
    try:
        lifetime_of(certificate)
    except ValueError as error:
        raise NotIssued(f"what was issued is no certificate: {error}") from None
