"""The default roles and their bindings: made, or given what they lack, at every start."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.rbac.reconcile import missing
from longshore.core.registry.client import Client, Create, Delete, Operation, Patch
from longshore.core.watch.cache import Cache

log = logging.getLogger("longshore.server")


async def ensure_roles(cache: Cache, client: Client, defaults: Iterable[tuple[Kind, Doc]]) -> None:
    """What people have taken away comes back, what they have added stays; nothing is written where
    nothing is missing. What cannot be kept (a binding to another role that something holds on to)
    is left as it is, with a word in the log."""
    obsolete: list[Operation] = []
    wanted: list[Operation] = []
    for kind, expected in defaults:
        _plan(cache, kind, expected, obsolete, wanted)
    for operations in (obsolete, wanted):
        # All at once: what a start waits for is the disk, once for each transaction.
        for answer in await client.submit(operations):
            if isinstance(answer, ApiError):
                log.warning("a default role or binding is not as it should be: %s", answer.message)


def _plan(
    cache: Cache, kind: Kind, expected: Doc, obsolete: list[Operation], wanted: list[Operation]
) -> None:
    metadata = expected["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    found = cache.get(kind, namespace, name)
    if found is None:
        wanted.append(Create(kind, expected))
        return
    patch = missing(expected, found)
    if patch is None:
        return
    if "roleRef" in patch:
        # A binding to another role is another binding.
        obsolete.append(Delete(kind, namespace, name))
        wanted.append(Create(kind, expected))
    else:
        wanted.append(Patch(kind, namespace, name, patch))
