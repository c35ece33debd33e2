"""Plan moves for a running cluster, and make them by evictions, which honour PodDisruptionBudgets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from longshore.cluster.client.access import Access, with_access
from longshore.cluster.client.looking import looked_at
from longshore.core.objects.errors import ApiError, Forbidden, Unavailable
from longshore.doors.kubernetes.client import HttpClient
from longshore.machinery.scheduler.picture import picture
from longshore.machinery.scheduler.profile import PROFILES, Profile
from longshore.machinery.scheduler.rebalance import Limits, Move, Rebalancing, rebalance


@dataclass(frozen=True, slots=True)
class Done:
    """A move that was tried; refusal is what the server said against it, empty if the pod goes."""

    move: Move
    refusal: str = ""


def planned(
    access: Access,
    limits: Limits,
    namespaces: Collection[str],
    profiles: Mapping[str, Profile] = PROFILES,
) -> Rebalancing:
    """The best moves of pods in some namespaces (none: in all). Raises ClusterError."""

    async def ask(client: HttpClient) -> Rebalancing:
        return rebalance(picture(await looked_at(client)), limits, namespaces, profiles)

    return with_access(access, ask)


def applied(access: Access, moves: Sequence[Move]) -> list[Done]:
    """Evict the pods, one after the other; their controllers make others, which the scheduler
    places. Raises ClusterError if the caller may not evict at all."""

    async def ask(client: HttpClient) -> list[Done]:
        return [await _evicted(client, move) for move in moves]

    return with_access(access, ask)


async def _evicted(client: HttpClient, move: Move) -> Done:
    try:
        await client.evict(move.namespace, move.name, move.uid)
    except (Forbidden, Unavailable):
        raise
    except ApiError as error:
        return Done(move, str(error))
    return Done(move)
