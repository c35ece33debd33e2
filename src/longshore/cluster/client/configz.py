"""Ask a server by which profiles its scheduler goes, as whoever asks."""

from __future__ import annotations

from collections.abc import Mapping

from longshore.cluster.client.access import Access, with_access
from longshore.cluster.config import ClusterError
from longshore.cluster.settings.scheduling import GROUP
from longshore.core.objects.errors import Forbidden, NotFound
from longshore.doors.kubernetes.client import HttpClient
from longshore.machinery.scheduler.configuration import read_profiles
from longshore.machinery.scheduler.profile import PROFILES, Profile

PATH = "/configz"
_DEFAULT = "judged by upstream's default profile"


def served(access: Access) -> tuple[Mapping[str, Profile], str]:
    """The profiles that a cluster's scheduler goes by, and if it does not tell whoever asks, why those
    are upstream's default. Raises ClusterError."""
    return with_access(access, told)


async def told(client: HttpClient) -> tuple[Mapping[str, Profile], str]:
    """The same, of a client's server."""
    try:
        document = (await client.document(PATH)).get(GROUP)
    except NotFound:
        document = None
    except Forbidden:
        return PROFILES, f"{_DEFAULT}: your rights do not reach as far as {PATH}"
    if document is None:
        return PROFILES, f"{_DEFAULT}: the server does not tell of its own at {PATH}"
    try:
        return read_profiles(document), ""
    except ValueError as error:
        raise ClusterError(f"{PATH}: {error}") from None
