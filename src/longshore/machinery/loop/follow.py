"""Follow all objects of a kind through the Client, whatever becomes of the server."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from longshore.base.clock import Clock
from longshore.core.objects.errors import ApiError, Expired
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Change, Client

_log = logging.getLogger("longshore.loop.follow")

# A server that cannot be reached is asked again after this long.
_RETRY_S = 1.0


class Among(NamedTuple):
    """Which objects of a kind: of one namespace or of all, by a field selector or all of them."""

    namespace: str = ""
    fields: str = ""


EVERYWHERE = Among()


async def follow(
    client: Client,
    kind: Kind,
    clock: Clock,
    whole: Callable[[Sequence[Doc]], Awaitable[None] | None],
    changes: Callable[[Sequence[Change]], None],
    *,
    among: Among = EVERYWHERE,
) -> None:
    """Hand over a snapshot, then every change; a new snapshot when the feed breaks. Never returns.

    Where whole takes its time (is a coroutine), the changes wait for it.
    """
    while True:
        try:
            listing, feed = await client.list_and_watch(kind, among.namespace, fields=among.fields)
        except (ApiError, OSError) as error:
            _log.warning("cannot read %s: %s", kind.plural, error)
            await clock.sleep(_RETRY_S)
            continue
        try:
            taking = whole(listing.items)
            if taking is not None:
                await taking
            while True:
                changes(await feed.next_batch())
        except Expired:
            _log.info("reading %s anew", kind.plural)
        except (ApiError, OSError) as error:
            _log.warning("lost the feed of %s: %s", kind.plural, error)
            await clock.sleep(_RETRY_S)
        finally:
            feed.close()
