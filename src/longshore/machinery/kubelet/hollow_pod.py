"""One hollow pod: the plan of plan.py carried out on nothing. Pure but for the address it takes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.model import Backoff, PodView, Trouble, is_sidecar
from longshore.machinery.kubelet.network import HollowNetwork
from longshore.machinery.kubelet.plan import (
    Finish,
    Kill,
    Prepare,
    Release,
    Start,
    Step,
    next_backoff,
    plan_pod,
)
from longshore.machinery.kubelet.recall import recalled
from longshore.machinery.kubelet.spec import hollow_exit
from longshore.machinery.runtime.hollow import Ending, is_broken, parse_ending
from longshore.machinery.runtime.protocol import Container, State

_log = logging.getLogger("longshore.kubelet.hollow")
_JOB_TAKES_S = 1.0
_INIT_TAKES_S = 0.0
_STOPPED = 143


Seen: TypeAlias = tuple[int | None, str | None, tuple[str, ...]]


@dataclass(slots=True)
class HollowNode:
    config: KubeletConfig
    network: HollowNetwork
    doc: Doc = field(default_factory=dict)


@dataclass(slots=True)
class HollowPod:
    """One pod: what plan.py must know of it, and when its containers end by themselves.

    doc is empty while the pod is at rest, see rest(); seen is what of it says that there is
    something to decide.
    """

    uid: str
    host_network: bool
    doc: Doc
    seen: Seen
    node: HollowNode
    ending: Ending | None
    started_at: float
    phase: str
    ips: tuple[str, ...] = ()
    containers: dict[str, Container] = field(default_factory=dict)
    previous: dict[str, Container] = field(default_factory=dict)
    backoffs: dict[str, Backoff] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)
    reported: Doc = field(default_factory=dict)
    doubted_at: float | None = None
    sandbox: bool = False
    finished: bool = False
    calm: bool = False

    def view(self, now: float) -> PodView:
        return PodView(
            doc=self.doc,
            now=now,
            containers=self.containers,
            previous=self.previous,
            sandbox=self.sandbox,
            ips=self.ips,
            troubles=self.troubles,
            host_ip=self.node.config.node_ip,
            backoffs=self.backoffs,
            reported=self.reported,
            started_at=self.started_at,
            phase=self.phase,
            held=self.sandbox,
        )


def seen_of(doc: Doc) -> Seen:
    """What of a pod is not just its agent's word: spec and deletion count up the generation, and
    others say which of its readiness gates are open."""
    metadata, gates = doc["metadata"], doc["spec"].get("readinessGates")
    opened = _opened(doc, gates) if gates else ()
    return metadata.get("generation"), metadata.get("deletionTimestamp"), opened


def _opened(doc: Doc, gates: Iterable[Doc]) -> tuple[str, ...]:
    named = {gate["conditionType"] for gate in gates}
    conditions = (doc.get("status") or {}).get("conditions") or ()
    true = (one["type"] for one in conditions if one["status"] == "True")
    return tuple(sorted(named.intersection(true)))


def rest(pod: HollowPod) -> None:
    """Let go of what only decisions need; the change that asks for one brings it. Of what was
    reported, readiness stays, which others may have another word about."""
    pod.doc = {}
    conditions = pod.reported.get("conditions") or ()
    pod.reported = {"conditions": [one for one in conditions if one["type"] == "Ready"]}


def take(pod: HollowPod, doc: Doc) -> None:
    """There is something to decide about the pod."""
    if not pod.doc:
        pod.reported = doc.get("status") or {}
    pod.doc, pod.seen, pod.calm = doc, seen_of(doc), False


def has_news(pod: HollowPod, status: Doc) -> bool:
    """Whether a status, sent as a merge patch, says what was not reported yet."""
    return any(pod.reported.get(field) != value for field, value in status.items())


def over(pod: HollowPod) -> bool:
    return pod.finished


def new_pod(doc: Doc, node: HollowNode, now: float) -> HollowPod:
    """A pod seen for the first time; one that has a status goes on from there."""
    status = doc.get("status") or {}
    started = status.get("startTime")
    pod = HollowPod(
        uid=doc["metadata"]["uid"],
        host_network=bool(doc["spec"].get("hostNetwork")),
        doc=doc,
        seen=seen_of(doc),
        node=node,
        ending=_ending(doc),
        started_at=parse_rfc3339(started) if started else now,
        phase=status.get("phase") or "Pending",
        reported=status,
    )
    if address := status.get("podIP"):
        pod.ips, pod.sandbox = (address,), pod.phase == "Running"
        if pod.sandbox and not pod.host_network:
            node.network.reserve(address)
    for container in _still_running(doc):
        pod.containers[container.name] = container
    for container in recalled(doc, pod.containers, now):
        pod.containers[container.name] = container
    return pod


def _still_running(doc: Doc) -> Iterator[Container]:
    status, uid = doc.get("status") or {}, doc["metadata"]["uid"]
    for kind in ("initContainerStatuses", "containerStatuses"):
        for entry in status.get(kind) or []:
            since = ((entry.get("state") or {}).get("running") or {}).get("startedAt")
            if since:
                made = _container(uid, entry, entry["restartCount"], parse_rfc3339(since))
                yield made


def _ending(doc: Doc) -> Ending | None:
    """How the pod's containers end. A sentence that cannot be read ends them with an error."""
    said = hollow_exit(doc)
    if said is not None:
        try:
            return parse_ending(said)
        except ValueError as error:
            _log.warning("pod %s: %s", doc["metadata"]["name"], error)
            return Ending(1, 0.0)
    owners = doc["metadata"].get("ownerReferences") or []
    by_job = any(owner["kind"] == "Job" for owner in owners)
    return Ending(0, _JOB_TAKES_S) if by_job else None


def advance(pod: HollowPod, now: float) -> float | None:
    """Do all that is due and planned; the moment to look again."""
    _end_what_is_due(pod, now)
    while (plan := plan_pod(pod.view(now))).steps:
        for step in plan.steps:
            _apply(pod, step, now)
        if pod.finished:
            return None
        _end_what_is_due(pod, now)
    moments = [at for at in _due_moments(pod) if at > now]
    if plan.wake_at is not None:
        moments.append(plan.wake_at)
    return min(moments, default=None)


def _apply(pod: HollowPod, step: Step, now: float) -> None:
    match step:
        case Prepare():
            if not pod.ips:
                config, network = pod.node.config, pod.node.network
                pod.ips = (config.node_ip if pod.host_network else network.take(),)
            pod.sandbox = True
        case Start(name, attempt):
            _start(pod, name, attempt, now)
        case Kill(name):
            ended = pod.containers[name]
            pod.containers[name] = _exited(ended, _STOPPED, now)
        case Release():
            leave(pod)
            pod.sandbox = False
        case Finish():
            pod.finished = True


def leave(pod: HollowPod) -> None:
    if pod.sandbox and not pod.host_network:
        pod.node.network.give_back(pod.ips[0])
    pod.sandbox = False


def _start(pod: HollowPod, name: str, attempt: int, now: float) -> None:
    spec = pod.doc["spec"]
    document = next(
        c
        for c in (
            *spec["containers"],
            *(spec.get("initContainers") or []),
            *(spec.get("ephemeralContainers") or []),
        )
        if c["name"] == name
    )
    if is_broken(document["image"]):
        pod.troubles[name] = _pull_failed(pod.troubles.get(name), document["image"], now)
        return
    if (ended := pod.containers.get(name)) is not None:
        pod.previous[name] = ended
        old = pod.backoffs.get(name)
        pod.backoffs[name] = next_backoff(old, ended.finished_at, now)
    pod.containers[name] = _container(pod.uid, document, attempt, now)


def _pull_failed(before: Trouble | None, image: str, now: float) -> Trouble:
    """As an agent tells of an image that is not to be had; it is tried again ever more seldom."""
    old = None if before is None else Backoff(before.retry_at - before.since, before.since)
    message = f'failed to pull image "{image}": not found'
    return Trouble("ErrImagePull", message, now, now + next_backoff(old, now, now).delay_s)


def _container(uid: str, document: Doc, attempt: int, started_at: float) -> Container:
    return Container(
        id=f"{uid}-{document['name']}-{attempt}",
        sandbox=uid,
        name=document["name"],
        attempt=attempt,
        image=document["image"],
        image_id=document["image"],
        state=State.RUNNING,
        started_at=started_at,
    )


def _due_moments(pod: HollowPod) -> Iterator[float]:
    for container in pod.containers.values():
        due = _due(pod, container)
        if due is not None:
            yield due


def _due(pod: HollowPod, container: Container) -> float | None:
    """When a running container ends by itself."""
    if container.state is State.EXITED:
        return None
    for init in pod.doc["spec"].get("initContainers") or []:
        if init["name"] == container.name:
            return None if is_sidecar(init) else container.started_at + _INIT_TAKES_S
    return None if pod.ending is None else container.started_at + pod.ending.after_s


def _end_what_is_due(pod: HollowPod, now: float) -> None:
    inits = {c["name"] for c in pod.doc["spec"].get("initContainers") or []}
    for name, container in list(pod.containers.items()):
        due = _due(pod, container)
        if due is not None and due <= now:
            code = 0 if name in inits or pod.ending is None else pod.ending.exit_code
            pod.containers[name] = _exited(container, code, due)


def _exited(container: Container, code: int, at: float) -> Container:
    reason = "Completed" if code == 0 else "Error"
    return replace(
        container, state=State.EXITED, exit_code=code, finished_at=max(at, 0.0), reason=reason
    )
