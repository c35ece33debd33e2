"""The server's own certificates, renewed before they end, without a restart: the authority's, what
the server shows to clients and to nodes, and the administrators'. And the key of tokens.

A node renews its own through the API (machinery/kubelet/certificates.py).
"""

from __future__ import annotations

import fcntl
import logging
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from longshore.base.clock import Clock
from longshore.core.pki import tls
from longshore.core.pki.authority import Authority
from longshore.core.pki.pairs import Pair
from longshore.core.pki.token_keys import TokenKeys

log = logging.getLogger("longshore.certificates")

SERVER_PAIRS = ("server", "server-to-nodes", "admin", "super-admin")
"""The names of the pairs that a server keeps fresh, besides the authority's own."""
SHARE = 0.8
"""How much of a certificate's life is over when it is renewed."""
_LOOK_S = 7 * 86_400.0


class Renewals:
    """Renews what an authority signed, and the key that signs tokens. Pairs that are shown by a
    context are loaded into it anew; after is called when anything was renewed."""

    def __init__(
        self,
        authority: Authority,
        pairs: Sequence[Pair],
        token_keys: TokenKeys,
        clock: Clock,
        after: Callable[[], None],
    ) -> None:
        self._authority = authority
        self._token_keys = token_keys
        # The authority first: what it signs afterwards shall not outlive it.
        self._pairs = [authority.pair, *pairs]
        self._clock = clock
        self._after = after
        self._known = self._ends()
        self._shown: list[tuple[ssl.SSLContext, Pair]] = []

    def shown_by(self, context: ssl.SSLContext, pair: Pair) -> ssl.SSLContext:
        """Remember that a context shows a pair. Returns the context."""
        self._shown.append((context, pair))
        return context

    async def run(self) -> None:
        """Until cancelled. Looks at least once a week: a machine may have slept."""
        while True:
            due = min(self._ends())
            await self._clock.sleep(min(max(due - self._clock.now(), 1.0), _LOOK_S))
            self.renew_due()

    def renew_due(self) -> None:
        """Renew what is due, and take up what another server of the same files has renewed."""
        with self._alone():
            for pair in self._pairs:
                if self._clock.now() >= pair.lifetime.renewal(SHARE):
                    self._authority.renew(pair)
                    log.info("%s is renewed", pair.certificate.name)
            if self._clock.now() >= self._token_keys.ends:
                self._token_keys.rotate()
                log.info("service account tokens are signed with a new key")
        known, self._known = self._known, self._ends()
        if known != self._known:
            for context, pair in self._shown:
                tls.reload(context, pair, self._authority.pair.certificate)
            self._after()

    def _ends(self) -> list[float]:
        """When the key of tokens and each certificate are due."""
        return [self._token_keys.ends, *(pair.lifetime.renewal(SHARE) for pair in self._pairs)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Several servers on one machine share their files, and find them due at the same moment."""
        descriptor = os.open(self._authority.pair.key.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
