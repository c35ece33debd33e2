"""Ask a running cluster as its administrator."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from longshore.base.clock import SystemClock
from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context
from longshore.doors.kubernetes.client import HttpClient

T = TypeVar("T")


def with_admin(
    config: ClusterConfig, paths: ClusterPaths, ask: Callable[[HttpClient], Awaitable[T]]
) -> T:
    """What ask returns, given a client with the administrator's certificate. Raises ClusterError if
    the server does not answer, and NotFound as it is."""

    async def talk() -> T:
        context = client_context(Pair.named(paths.pki, "admin"), paths.pki / "ca.crt")
        client = HttpClient([config.server], context, SystemClock())
        try:
            return await ask(client)
        finally:
            client.close()

    try:
        return asyncio.run(talk())
    except NotFound:
        raise
    except ApiError as error:
        raise ClusterError(
            f"the server of {config.name!r} said: {error}; is it running? (longshore list)"
        ) from error
