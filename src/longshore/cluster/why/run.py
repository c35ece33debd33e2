"""Ask a cluster what a pod's placement depends on, as whoever asks, and judge it here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from longshore.cluster.client.access import Access, with_access
from longshore.cluster.client.looking import looked_at
from longshore.cluster.config import ClusterError
from longshore.cluster.why.notes import group_of, notes
from longshore.cluster.why.report import Answer
from longshore.cluster.why.table import judged
from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.doors.kubernetes.client import HttpClient
from longshore.machinery.scheduler.picture import picture, scheduler_of
from longshore.machinery.scheduler.profile import DEFAULT, PROFILES, Profile
from longshore.machinery.scheduler.queues.settings import queue_name


def why(
    access: Access, namespace: str, name: str, profiles: Mapping[str, Profile] = PROFILES
) -> Answer:
    """How all nodes are seen for a pod by its scheduler, or if that is none of ours by the default
    one. Raises ClusterError, also
    for one who may not list nodes and the pods of all namespaces."""

    async def ask(client: HttpClient) -> Answer:
        try:
            pod = await client.get(kinds.POD, namespace, name)
        except NotFound as error:
            raise ClusterError(str(error)) from None
        group = await _found(client, kinds.POD_GROUP, namespace, group_of(pod))
        queue = await _found(client, kinds.LOCAL_QUEUE, namespace, queue_name(pod))
        profile = profiles.get(scheduler_of(pod), DEFAULT)
        nodes = judged(picture(await looked_at(client), also=[pod]), pod, profile)
        return Answer(pod, nodes, [*_strange(pod, profiles), *notes(pod, group, queue)])

    return with_access(access, ask)


def _strange(pod: Doc, profiles: Mapping[str, Profile]) -> Iterator[str]:
    name = scheduler_of(pod)
    if name not in profiles:
        yield f"it is left to another scheduler, {name}; what follows is what ours would say"


async def _found(client: HttpClient, kind: Kind, namespace: str, name: str) -> Doc | None:
    """None if it is not there, or no name is given."""
    try:
        return await client.get(kind, namespace, name) if name else None
    except NotFound:
        return None
