"""Ask a cluster what a pod's placement depends on, as whoever asks, and judge it here."""

from __future__ import annotations

from longshore.cluster.access import Access, with_access
from longshore.cluster.config import ClusterError
from longshore.cluster.why.report import Answer
from longshore.cluster.why.table import judged
from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc
from longshore.doors.kubernetes.client import HttpClient
from longshore.machinery.scheduler.picture import LOOKED_AT, picture


def why(access: Access, namespace: str, name: str) -> Answer:
    """How all nodes are seen for a pod, as the default profile has it. Raises ClusterError, also
    for one who may not list nodes and the pods of all namespaces."""

    async def ask(client: HttpClient) -> Answer:
        try:
            pod = await client.get(kinds.POD, namespace, name)
        except NotFound as error:
            raise ClusterError(str(error)) from None
        objects = {kind: (await client.list(kind)).items for kind in LOOKED_AT}
        return Answer(pod, judged(picture(objects, also=[pod]), pod), [*_notes(pod)])

    return with_access(access, ask)


def _notes(pod: Doc) -> list[str]:
    gates = [one["name"] for one in pod["spec"].get("schedulingGates") or ()]
    return [f"it is held by its scheduling gates: {', '.join(gates)}"] if gates else []
