"""Ask a cluster what projects used, as whoever asks."""

from __future__ import annotations

from longshore.cluster.client.access import Access, with_access
from longshore.cluster.config import ClusterError
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import PROJECT_USAGE, Doc
from longshore.doors.kubernetes.client import HttpClient


def of_project(access: Access, project: str, since_s: float) -> Doc:
    """The ProjectUsage of the last so many seconds, with its series. Raises ClusterError."""

    async def ask(client: HttpClient) -> Doc:
        try:
            return await client.read(PROJECT_USAGE, project, project, sinceSeconds=int(since_s))
        except NotFound:
            raise ClusterError(
                f"nothing is known of what {project!r} used; a project is accounted for a minute "
                "after its first pod has a node"
            ) from None

    return with_access(access, ask)


def of_all(access: Access, since_s: float) -> list[Doc]:
    """The ProjectUsages of all projects, without series. Raises ClusterError."""

    async def ask(client: HttpClient) -> list[Doc]:
        answer = await client.read(PROJECT_USAGE, "", "", sinceSeconds=int(since_s))
        items: list[Doc] = answer["items"]
        return items

    return with_access(access, ask)
