"""The Leases of a server that is the only one of its store: nobody stands against it, so it needs no
election and no fence, but tools read in a Lease who leads, and whether it lives."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from longshore.base.clock import Clock
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import LEASE, Doc
from longshore.core.registry.client import Client, Create, Operation, Update
from longshore.core.watch.cache import Cache
from longshore.machinery.election.plan import Rules, Seen, renewed, taken

_log = logging.getLogger("longshore.election")

# Of a Lease's duration, after so much it is renewed: as seldom as it can be while it never runs out.
_RENEWED_AFTER = 2 / 3


class OnlyLeader:
    """Holds some Leases of a namespace as identity."""

    def __init__(self, cache: Cache, client: Client, clock: Clock, identity: str) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._identity = identity

    async def hold(self, namespace: str, names: Iterable[str], rules: Rules) -> None:
        """Until cancelled. What cannot be written is tried again with the next renewal, or sooner while
        there is none to renew."""
        names = tuple(names)
        while True:
            work = [self._newest(namespace, name, rules) for name in names]
            try:
                answers = await self._client.submit(work)
            except ApiError as error:
                answers = [error]
            failed = [answer for answer in answers if isinstance(answer, ApiError)]
            for refusal in failed:
                _log.info("a Lease was not written: %s", refusal.message)
            await self._clock.sleep(rules.retry_s if failed else rules.lease_s * _RENEWED_AFTER)

    def _newest(self, namespace: str, name: str, rules: Rules) -> Operation:
        there, wall = self._cache.get(LEASE, namespace, name), self._clock.now()
        if there is not None and _is_held(there, self._identity):
            return Update(LEASE, renewed(there, wall))
        doc = taken(Seen(there, 0.0), namespace, name, self._identity, rules, wall)
        return Create(LEASE, doc) if there is None else Update(LEASE, doc)


def _is_held(lease: Doc, identity: str) -> bool:
    return bool((lease.get("spec") or {}).get("holderIdentity") == identity)
