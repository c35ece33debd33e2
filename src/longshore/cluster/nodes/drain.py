"""Have a node emptied by hand, as kubectl drain does: cordoned first, then its pods are evicted, as fast as
PodDisruptionBudgets allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from longshore.base.clock import Clock
from longshore.cluster.config import ClusterError
from longshore.core.objects import kinds
from longshore.core.objects.errors import Conflict, NotFound, TooManyRequests
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Delete, DeleteOptions, Patch
from longshore.doors.kubernetes.client import HttpClient
from longshore.machinery.controllers.common.owners import controller
from longshore.machinery.controllers.nodegroups.drainable import (
    is_daemon,
    is_mirror,
)

# How often a pod that its budget keeps is asked for again, and whether all are gone is looked at.
_AGAIN_S = 0.5
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Consent:
    """What may be lost, as kubectl drain's options say. force: pods that nobody makes again, and pods
    that a budget keeps; local_data: what is in emptyDir volumes."""

    force: bool = False
    local_data: bool = False


def objections(pods: Sequence[Doc], consent: Consent) -> list[str]:
    """Why these pods are not to be evicted, in kubectl's words."""
    bare = [_title(pod) for pod in pods if controller(pod) is None]
    local = [_title(pod) for pod in pods if _has_local_data(pod)]
    found = []
    if bare and not consent.force:
        found.append(
            "cannot delete Pods that declare no controller (use --force to override): "
            + ", ".join(bare)
        )
    if local and not (consent.local_data or consent.force):
        found.append(
            "cannot delete Pods with local storage (use --delete-emptydir-data to override): "
            + ", ".join(local)
        )
    return found


async def drain(
    client: HttpClient, clock: Clock, node: str, consent: Consent, wait_s: float, say: Say
) -> None:
    """Until no pod is left that would be missed. Raises ClusterError, and then the node stays
    cordoned, or as it was if nothing could be begun."""
    if refused := objections(await _pods(client, node), consent):
        raise ClusterError(f"{node}: {'; '.join(refused)}")
    await client.write(Patch(kinds.NODE, "", node, {"spec": {"unschedulable": True}}))
    say(f"{node} is cordoned")
    deadline = clock.monotonic() + wait_s
    asked: set[str] = set()
    kept: set[str] = set()
    while pods := await _pods(client, node):
        for pod in pods:
            await _ask(client, pod, asked, kept, consent, say)
        if clock.monotonic() > deadline:
            raise ClusterError(_left(node, pods, wait_s))
        await clock.sleep(_AGAIN_S)
    say(f"{node} is empty")


async def _ask(
    client: HttpClient, pod: Doc, asked: set[str], kept: set[str], consent: Consent, say: Say
) -> None:
    """Have a pod go that was not asked to before. One that its budget keeps is asked next time."""
    metadata = pod["metadata"]
    uid, title = metadata["uid"], _title(pod)
    if uid in asked:
        return
    try:
        await _end(client, metadata["namespace"], metadata["name"], uid, consent)
    except TooManyRequests as error:
        if uid not in kept:
            say(f"pod {title} stays for now: {error}")
        kept.add(uid)
        return
    except (NotFound, Conflict):
        return  # gone, or another of its name has come
    asked.add(uid)
    say(f"pod {title} is evicted")


async def _end(client: HttpClient, namespace: str, name: str, uid: str, consent: Consent) -> None:
    if consent.force:
        await client.write(Delete(kinds.POD, namespace, name, DeleteOptions(uid=uid)))
    else:
        await client.evict(namespace, name, uid)


async def _pods(client: HttpClient, node: str) -> list[Doc]:
    """Those of a node that do not end with it."""
    listing = await client.list(kinds.POD, fields=f"spec.nodeName={node}")
    return [pod for pod in listing.items if not (is_mirror(pod) or is_daemon(pod))]


def _has_local_data(pod: Doc) -> bool:
    return any("emptyDir" in volume for volume in pod["spec"].get("volumes") or ())


def _left(node: str, pods: Sequence[Doc], wait_s: float) -> str:
    names = ", ".join(_title(pod) for pod in pods)
    return (
        f"{node} still has pods after {wait_s:g} s: {names}; it stays cordoned "
        f"(kubectl uncordon {node} takes it back)"
    )


def _title(pod: Doc) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
