"""Claims of devices become those of pods, with what they are given: on disk before any pod is bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from longshore.core.objects import device_claims, kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client, Update
from longshore.core.watch.cache import Cache
from longshore.machinery.scheduler.prebinding import Prepared, Reservation

Failed: TypeAlias = dict[str, tuple[Prepared, ApiError]]
"""Pods by uid, each with why."""


class Reserver:
    """Writes rest on the claims as they are: who changes one first wins, the other decides anew."""

    def __init__(self, cache: Cache, client: Client) -> None:
        self._cache = cache
        self._client = client

    async def reserve(self, claims: Sequence[Reservation]) -> Failed:
        """Write them; the pods for which that failed."""
        if not claims:
            return {}
        failed: Failed = {}
        kept = await self._keep(claims)
        written: list[tuple[Reservation, Update]] = []
        for one in claims:
            made = one.write(kept.get(one.key) or self._claim(one.key))
            if isinstance(made, Update):
                written.append((one, made))
            else:
                failed |= _of_all(one, made)
        answers = await self._client.submit([made for _, made in written])
        for (one, _), answer in zip(written, answers, strict=True):
            if isinstance(answer, ApiError):
                failed |= _of_all(one, answer)
        return failed

    async def deallocate(self, unused: Iterable[tuple[str, str]]) -> None:
        """Take devices back of claims (namespace/name) that nobody but one pod (uid) uses. One that has
        changed meanwhile is looked at again when its pod is."""
        work = []
        for key, uid in unused:
            claim = self._claim(key)
            users = device_claims.status_of(claim or {}).get("reservedFor") or ()
            if claim is not None and all(one["uid"] == uid for one in users):
                work.append(
                    Update(kinds.RESOURCE_CLAIM, device_claims.deallocated(claim), "status")
                )
        await self._client.submit(work)

    async def _keep(self, claims: Sequence[Reservation]) -> dict[str, Doc]:
        """Have claims stay that are about to have devices; those that changed for it, as they are now."""
        work = {one.key: made for one in claims if (made := one.finalized(self._cache.get))}
        answers = await self._client.submit(list(work.values())) if work else []
        found = zip(work, answers, strict=True)
        return {key: answer for key, answer in found if not isinstance(answer, ApiError)}

    def _claim(self, key: str) -> Doc | None:
        return self._cache.get(kinds.RESOURCE_CLAIM, *key.split("/"))


def _of_all(claim: Reservation, error: ApiError) -> Failed:
    return {one.pod.uid: (one, error) for one in claim.users}
