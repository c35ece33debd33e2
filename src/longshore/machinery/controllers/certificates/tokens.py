"""Take away bootstrap tokens whose time is over (pkg/controller/bootstrap/tokencleaner.go)."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Kind
from longshore.core.registry.client import Client, Delete, DeleteOptions
from longshore.core.registry.identity import bootstrap_tokens as tokens
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.loop.answers import DONE, Answer, WakeAfter


class BootstrapTokenCleaner:
    """The reconciler; its keys are names of Secrets in kube-system."""

    name = "bootstrap-token-cleaner"
    watches: tuple[Kind, ...] = (kinds.SECRET,)

    def __init__(self, cache: Cache, client: Client, clock: Clock) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock

    def keys(self, event: Frame) -> Iterable[str]:
        ours = event.stored.namespace == tokens.NAMESPACE
        return (event.stored.name,) if ours and event.stored.name.startswith(tokens.PREFIX) else ()

    async def reconcile(self, key: str) -> Answer:
        doc = self._cache.get(kinds.SECRET, tokens.NAMESPACE, key)
        if doc is None or doc.get("type") != tokens.TYPE:
            return DONE
        left = tokens.expires_at(doc) - self._clock.now()
        if left > 0:
            return WakeAfter(left) if left < float("inf") else DONE
        options = DeleteOptions(uid=doc["metadata"]["uid"])
        await self._client.write(Delete(kinds.SECRET, tokens.NAMESPACE, key, options))
        return DONE
