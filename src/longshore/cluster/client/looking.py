"""List what placement depends on, with the rights of whoever asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.doors.kubernetes.client import HttpClient
from longshore.machinery.scheduler.picture import LOOKED_AT


async def looked_at(client: HttpClient) -> Mapping[Kind, Sequence[Doc]]:
    """All objects by kind; none of a kind that the server does not have, for it may be any
    Kubernetes. Raises Forbidden if one of them may not be listed: what is judged without it would
    not be true."""
    return {kind: await _listed(client, kind) for kind in LOOKED_AT}


async def _listed(client: HttpClient, kind: Kind) -> Sequence[Doc]:
    try:
        return (await client.list(kind)).items
    except NotFound:
        return ()
