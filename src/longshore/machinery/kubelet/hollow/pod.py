"""One hollow pod: the plan of plan.py carried out on nothing. Pure but for the address it takes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeAlias

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.hollow import (
    FOREVER,
    OOM_EXIT_CODE,
    USUAL_NODE,
    USUAL_POD,
    NodeBehaviour,
    PodBehaviour,
)
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.admission.gate import Gate
from longshore.machinery.kubelet.admission.plan import BY_THE_NODE, rejected
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.containers.spec import hollow_exit
from longshore.machinery.kubelet.hollow import misbehaving
from longshore.machinery.kubelet.lifecycle.allotment import (
    WHOLE,
    asked_by,
    deviating,
    given_to,
    told_before,
)
from longshore.machinery.kubelet.lifecycle.model import (
    SETTLED,
    TERMINAL_PHASES,
    Backoff,
    PodView,
    Resizing,
    Trouble,
    Verdict,
    is_sidecar,
)
from longshore.machinery.kubelet.lifecycle.plan import (
    Admit,
    Finish,
    Kill,
    PodPlan,
    Prepare,
    Release,
    Reset,
    Resize,
    Start,
    Step,
    next_backoff,
    plan_pod,
)
from longshore.machinery.kubelet.lifecycle.recall import recalled
from longshore.machinery.kubelet.lifecycle.restarting import floors_after
from longshore.machinery.kubelet.network import HollowNetwork
from longshore.machinery.runtime.hollow import Ending, is_broken, parse_ending
from longshore.machinery.runtime.protocol import Container, State

_log = logging.getLogger("longshore.kubelet.hollow")
_JOB_TAKES_S = 1.0
_INIT_TAKES_S = 0.0
_STOPPED = 143


Seen: TypeAlias = tuple[int | None, str | None, tuple[str, ...], str]


# News of the node may come later than those of a pod that was bound for them: a refusal that goes by the
# Node object is looked at again after this long.
_ASK_AGAIN_S = 1.0
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_NO_STOPS: Mapping[str, tuple[float, int]] = MappingProxyType({})


@dataclass(slots=True)
class HollowNode:
    """doc: as others see it. gate: which pods it takes. behaviour: what it was told to do wrong, told_at
    when that was. pods are the uids of its own."""

    config: KubeletConfig
    network: HollowNetwork
    gate: Gate
    doc: Doc = field(default_factory=dict)
    behaviour: NodeBehaviour = USUAL_NODE
    told_at: float = 0.0
    pods: set[str] = field(default_factory=set)

    @property
    def pressure(self) -> frozenset[str]:
        """Which conditions of want it has."""
        return frozenset(filter(None, (self.behaviour.short_of,)))

    def silence(self, now: float) -> float:
        """For how many seconds from now it does nothing."""
        behaviour = self.behaviour
        return 0.0 if behaviour is USUAL_NODE else behaviour.silence(now - self.told_at)


@dataclass(slots=True)
class HollowPod:
    """One pod: what plan.py must know of it, and when its containers end by themselves.

    doc is empty while the pod is at rest, see rest(); seen is what of it says that there is
    something to decide. wanted is the same with the resources that its spec asks for, doc with those
    that it was given.
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
    admitted: bool = False
    asked_at: float = 0.0
    verdict: Verdict | None = None
    wanted: Doc = field(default_factory=dict)
    actual: Mapping[str, Doc] = field(default_factory=lambda: _NOTHING)
    resizing: Resizing = SETTLED
    floors: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    behaviour: PodBehaviour = USUAL_POD
    pulls: int = 0
    stops: Mapping[str, tuple[float, int]] = field(default_factory=lambda: _NO_STOPS)
    """When containers that were asked to end will, and with which exit code."""

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
            verdict=self.verdict,
            admitted=self.admitted,
            actual=self.actual,
            resizing=self.resizing,
            floors=self.floors,
            health=misbehaving.health(self.behaviour, self.doc["spec"], self.containers, now),
        )


def seen_of(doc: Doc) -> Seen:
    """What of a pod is not just its agent's word: spec and deletion count up the generation, and
    others say which of its readiness gates are open, and how it is to misbehave."""
    metadata, gates = doc["metadata"], doc["spec"].get("readinessGates")
    opened = _opened(doc, gates) if gates else ()
    told = misbehaving.told(doc)
    return metadata.get("generation"), metadata.get("deletionTimestamp"), opened, told


def _opened(doc: Doc, gates: Iterable[Doc]) -> tuple[str, ...]:
    named = {gate["conditionType"] for gate in gates}
    conditions = (doc.get("status") or {}).get("conditions") or ()
    true = (one["type"] for one in conditions if one["status"] == "True")
    return tuple(sorted(named.intersection(true)))


def rest(pod: HollowPod) -> None:
    """Let go of what only decisions need; the change that asks for one brings it. Of what was
    reported, readiness stays, which others may have another word about."""
    pod.doc = pod.wanted = {}
    conditions = pod.reported.get("conditions") or ()
    pod.reported = {"conditions": [one for one in conditions if one["type"] == "Ready"]}


def take(pod: HollowPod, doc: Doc) -> None:
    """There is something to decide about the pod."""
    if not pod.doc:
        pod.reported = doc.get("status") or {}
    renew(pod, doc)
    pod.seen, pod.calm = seen_of(doc), False
    pod.ending, pod.behaviour = _ending(doc), misbehaving.pod_told(doc)


def renew(pod: HollowPod, doc: Doc) -> None:
    """A newer document of a pod that is not at rest."""
    given: Mapping[str, Doc] = {}
    if pod.admitted and doc["metadata"].get("generation", 1) > 1:
        given = (
            deviating(asked_by(pod.doc["spec"]), asked_by(doc["spec"]))
            if pod.doc
            else told_before(doc)
        )
    pod.wanted, pod.doc = doc, given_to(doc, given)


def has_news(pod: HollowPod, status: Doc) -> bool:
    """Whether a status, sent as a merge patch, says what was not reported yet."""
    return any(pod.reported.get(field) != value for field, value in status.items())


def is_undecided(pod: HollowPod) -> bool:
    """Whether the node has yet to say if it takes the pod."""
    return not (pod.admitted or pod.verdict or pod.finished)


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
        behaviour=misbehaving.pod_told(doc),
        started_at=parse_rfc3339(started) if started else now,
        phase=status.get("phase") or "Pending",
        reported=status,
        admitted=bool(started),
        wanted=doc,
    )
    if pod.admitted and pod.phase not in TERMINAL_PHASES:
        pod.doc = given_to(doc, told_before(doc))
        node.gate.adopt(pod.doc)
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
    told = misbehaving.pod_told(doc)
    if told.exit_code is not None:
        return Ending(told.exit_code, told.exit_after_s)
    owners = doc["metadata"].get("ownerReferences") or []
    by_job = any(owner["kind"] == "Job" for owner in owners)
    return Ending(0, _JOB_TAKES_S) if by_job else None


def advance(pod: HollowPod, now: float) -> float | None:
    """Do all that is due and planned; the moment to look again."""
    if pod.asked_at > now and not pod.admitted:
        return pod.asked_at
    _consider(pod, now)
    _end_what_is_due(pod, now)
    while steps := _undelayed(pod, plan := plan_pod(pod.view(now)), now):
        for step in steps:
            _apply(pod, step, now)
        if pod.finished:
            return None
        if pod.asked_at > now and not pod.admitted:
            return pod.asked_at
        _end_what_is_due(pod, now)
    _settle(pod)
    moments = [at for at in _due_moments(pod) if at > now]
    if plan.wake_at is not None:
        moments.append(plan.wake_at)
    return min(moments, default=None)


def _undelayed(pod: HollowPod, plan: PodPlan, now: float) -> list[Step]:
    """The steps that are not held up: by a node that is to begin later, or a container that takes its
    time to end."""
    early = now < _begins_at(pod)
    return [
        step
        for step in plan.steps
        if not (isinstance(step, Kill) and step.name in pod.stops)
        and not (early and isinstance(step, Prepare))
    ]


def _begins_at(pod: HollowPod) -> float:
    return pod.started_at + pod.behaviour.start_s


def _apply(pod: HollowPod, step: Step, now: float) -> None:
    match step:
        case Admit():
            _enter(pod, now)
        case Resize():
            pod.actual = _NOTHING
        case Reset():
            pod.floors = floors_after(pod.containers, pod.doc["spec"])
        case Prepare():
            if not pod.ips:
                config, network = pod.node.config, pod.node.network
                pod.ips = (config.node_ip if pod.host_network else network.take(),)
            pod.sandbox = True
        case Start(name, attempt):
            _start(pod, name, attempt, now)
        case Kill():
            _kill(pod, step, now)
        case Release():
            leave(pod)
            pod.node.gate.leave(pod.uid)
        case Finish():
            pod.finished = True
            pod.node.gate.leave(pod.uid)


def _kill(pod: HollowPod, step: Kill, now: float) -> None:
    if pod.behaviour.stop_s:
        stop = misbehaving.stop(pod.behaviour, step.grace_s, now)
        pod.stops = {**pod.stops, step.name: stop}
    else:
        pod.containers[step.name] = _exited(pod.containers[step.name], _STOPPED, now)


def _enter(pod: HollowPod, now: float) -> None:
    """Ask the node; twice if its object says no."""
    why = pod.node.gate.admit(pod.doc)
    if why is None:
        pod.admitted = True
    elif why.reason in BY_THE_NODE and not pod.asked_at:
        pod.asked_at = now + _ASK_AGAIN_S
    else:
        pod.verdict = rejected(why)


def _consider(pod: HollowPod, now: float) -> None:
    """Ask for the resources that the spec has, if those are others."""
    if not pod.admitted or pod.verdict is not None or pod.phase in TERMINAL_PHASES:
        return
    if pod.doc is pod.wanted:
        if pod.resizing.pending is not None:
            pod.node.gate.reverted(pod.uid)
            pod.resizing = replace(pod.resizing, pending=None)
        return
    pod.resizing = pod.node.gate.resized(pod.wanted, pod.doc, pod.resizing, now)
    if pod.resizing.pending is None:
        had = deviating(asked_by(pod.doc["spec"]), asked_by(pod.wanted["spec"]))
        runs = {one.name for one in pod.containers.values() if one.state is not State.EXITED}
        pod.actual = {name: one for name, one in had.items() if name in runs or name == WHOLE}
        pod.doc = pod.wanted


def _settle(pod: HollowPod) -> None:
    if pod.resizing.generation is not None and not pod.actual:
        pod.resizing = replace(SETTLED, pending=pod.resizing.pending)


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
    if is_broken(document["image"]) or pod.pulls < pod.behaviour.pulls_failing:
        pod.pulls += 1
        pod.troubles[name] = _pull_failed(pod.troubles.get(name), document["image"], now)
        return
    if (ended := pod.containers.get(name)) is not None:
        pod.previous[name] = ended
        old = pod.backoffs.get(name)
        pod.backoffs[name] = next_backoff(old, ended.finished_at, now)
    pod.containers[name] = _container(pod.uid, document, attempt, now)
    if name in pod.actual:
        pod.actual = {other: one for other, one in pod.actual.items() if other != name}


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
    if pod.behaviour.start_s and not pod.sandbox:
        yield _begins_at(pod)
    for container in pod.containers.values():
        due = _due(pod, container)
        if due is not None:
            yield due
        if container.state is not State.EXITED:
            yield from misbehaving.moments(pod.behaviour, container)


def _due(pod: HollowPod, container: Container) -> float | None:
    """When a running container ends by itself."""
    if container.state is State.EXITED:
        return None
    if (stop := pod.stops.get(container.name)) is not None:
        return stop[0] if stop[0] < FOREVER else None
    for init in pod.doc["spec"].get("initContainers") or []:
        if init["name"] == container.name:
            return None if is_sidecar(init) else container.started_at + _INIT_TAKES_S
    return None if pod.ending is None else container.started_at + pod.ending.after_s


def _end_what_is_due(pod: HollowPod, now: float) -> None:
    inits = {c["name"] for c in pod.doc["spec"].get("initContainers") or []}
    for name, container in list(pod.containers.items()):
        due = _due(pod, container)
        if due is not None and due <= now:
            pod.containers[name] = _ended(pod, container, due, is_init=name in inits)
            pod.stops = {other: one for other, one in pod.stops.items() if other != name}


def _ended(pod: HollowPod, container: Container, due: float, *, is_init: bool) -> Container:
    if (stop := pod.stops.get(container.name)) is not None:
        return _exited(container, stop[1], due)
    if is_init or pod.ending is None:
        return _exited(container, 0, due)
    ended = _exited(container, pod.ending.exit_code, due)
    killed = pod.behaviour.oom and ended.exit_code == OOM_EXIT_CODE
    return replace(ended, reason="OOMKilled") if killed else ended


def _exited(container: Container, code: int, at: float) -> Container:
    reason = "Completed" if code == 0 else "Error"
    return replace(
        container, state=State.EXITED, exit_code=code, finished_at=max(at, 0.0), reason=reason
    )
