"""What a worker remembers of its pod: the mutable side of model.PodView.

Everything here is what was seen or told; what follows from it is decided in plan.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import RUNTIME_NAME, KubeletConfig
from longshore.machinery.kubelet.containers.facts import Facts
from longshore.machinery.kubelet.events import EventType, Recorder
from longshore.machinery.kubelet.lifecycle.allotment import (
    WHOLE,
    Given,
    asked_by,
    deviating,
    given_to,
    restarts,
    told_before,
)
from longshore.machinery.kubelet.lifecycle.model import (
    SETTLED,
    Backoff,
    Health,
    PodView,
    Trouble,
    Verdict,
    ephemeral_containers,
    init_containers,
    main_containers,
    own_fields,
)
from longshore.machinery.kubelet.lifecycle.plan import next_backoff
from longshore.machinery.kubelet.lifecycle.restarting import floors_after
from longshore.machinery.runtime.protocol import Container, State


class PodRecord:
    """One pod's document, containers, troubles and back-offs. attempts has the newest two of each
    container; reported is the status that was sent last, doubted_at when the API
    server was first seen to have another readiness."""

    def __init__(self, pod: Doc, config: KubeletConfig, events: Recorder, now: float) -> None:
        status = pod.get("status") or {}
        started = status.get("startTime")
        self._config = config
        self._events = events
        # What the API server has, and the same with the resources that the node has given it.
        self.wanted = self.pod = pod
        self.runtime = RUNTIME_NAME
        self.given: Given = told_before(pod) if status else {}
        self.actual: dict[str, Doc] = {}
        self.resizing = SETTLED
        self.floors: dict[str, int] = {}
        self.admitted = "startTime" in status
        self.gone = False
        self.verdict: Verdict | None = None
        self.held = False
        self.sandbox = False
        self.ips: tuple[str, ...] = tuple(e["ip"] for e in status.get("podIPs") or [])
        self.started_at = parse_rfc3339(started) if started else now
        self.phase: str = status.get("phase") or "Pending"
        self.reported: Doc = {}
        self.doubted_at: float | None = None
        self.pod_trouble: Trouble | None = None
        self.attempts: dict[str, dict[int, Container]] = {}
        self.messages: dict[tuple[str, int], str] = {}
        self.troubles: dict[str, Trouble] = {}
        self.backoffs: dict[str, Backoff] = {}
        self.pulls: dict[str, Backoff] = {}
        self.documents: dict[str, Doc] = {}
        self.take(pod)

    def take(self, pod: Doc) -> None:
        """A newer document; ephemeral containers may have been added, and what a container lacked."""
        if own_fields(self.pod) != own_fields(pod):
            self.troubles = {name: _mended(trouble) for name, trouble in self.troubles.items()}
        if self.admitted and _generation(pod) != _generation(self.wanted):
            self.given = deviating(asked_by(self.pod["spec"]), asked_by(pod["spec"]))
        self.wanted, self.pod = pod, given_to(pod, self.given)
        self._read()

    def grant(self) -> None:
        """What the spec asks for is set aside; containers that run have what they had, for now."""
        for container in self.running():
            if (before := self.given.get(container.name)) is not None:
                self.actual.setdefault(container.name, before)
        if WHOLE in self.given and any(self.running()):
            self.actual.setdefault(WHOLE, self.given[WHOLE])
        self.given, self.pod = {}, self.wanted
        self._read()
        self.actual = deviating(self.actual, asked_by(self.pod["spec"]))

    def _read(self) -> None:
        spec = self.pod["spec"]
        every = {
            "initContainers": init_containers(spec),
            "containers": main_containers(spec),
            "ephemeralContainers": ephemeral_containers(spec),
        }
        self.documents = {one["name"]: one for known in every.values() for one in known}
        # As kubelets' Events name them (pkg/kubelet/container: fieldPath).
        self._fields = {
            one["name"]: f"spec.{kind}{{{one['name']}}}"
            for kind, known in every.items()
            for one in known
        }

    @property
    def uid(self) -> str:
        uid: str = self.pod["metadata"]["uid"]
        return uid

    @property
    def ending(self) -> bool:
        """Whether the pod is deleted, or about to be."""
        return self.gone or "deletionTimestamp" in self.pod["metadata"]

    def view(self, now: float, health: Mapping[str, Health]) -> PodView:
        ordered = {name: sorted(known) for name, known in self.attempts.items()}
        return PodView(
            doc=self.pod,
            now=now,
            containers={n: self.attempts[n][a[-1]] for n, a in ordered.items()},
            previous={n: self.attempts[n][a[-2]] for n, a in ordered.items() if len(a) > 1},
            sandbox=self.sandbox,
            ips=self.ips,
            host_ip=self._config.node_ip,
            pod_trouble=self.pod_trouble,
            troubles=self.troubles,
            backoffs=self.backoffs,
            health=health,
            messages=self.messages,
            reported=self.reported,
            started_at=self.started_at,
            phase=self.phase,
            held=self.held,
            gone=self.gone,
            verdict=self.verdict,
            runtime=self.runtime,
            admitted=self.admitted,
            actual=self.actual,
            resizing=self.resizing,
            floors=self.floors,
        )

    def facts(self, allocatable: Mapping[str, str]) -> Facts:
        config = self._config
        home = str(config.root)
        return Facts(self.pod, config.node_name, config.node_ip, self.ips, allocatable, home)

    def newest(self, name: str) -> Container | None:
        known = self.attempts.get(name)
        return known[max(known)] if known else None

    def previous(self, name: str) -> Container | None:
        known = self.attempts.get(name, {})
        return known[sorted(known)[-2]] if len(known) > 1 else None

    def running(self) -> Iterable[Container]:
        newest = [self.newest(name) for name in self.attempts]
        return [c for c in newest if c is not None and c.state is not State.EXITED]

    def note(self, container: Container) -> bool:
        """Remember what was seen; whether it is news that the container has ended. One that has
        ended never comes back."""
        known = self.attempts.setdefault(container.name, {})
        before = known.get(container.attempt)
        if before is not None and before.state is State.EXITED:
            return False
        known[container.attempt] = container
        if container.state is State.EXITED:
            self._ended(container.name)
        return container.state is State.EXITED

    def reset(self) -> None:
        """All containers start anew."""
        newest = {name: known[max(known)] for name, known in self.attempts.items() if known}
        self.floors = floors_after(newest, self.pod["spec"])

    def _ended(self, name: str) -> None:
        """What it was to be given while it runs it will start with; one that was stopped for that is still
        to be seen to have been (plan.returns)."""
        before, document = self.actual.get(name), self.documents.get(name, {})
        if before is not None and not restarts(document, before):
            del self.actual[name]

    def back_off(self, name: str, now: float) -> None:
        """The container is started again: it will wait longer next time."""
        if (ended := self.newest(name)) is not None:
            self.backoffs[name] = next_backoff(self.backoffs.get(name), ended.finished_at, now)

    def trouble(self, name: str, trouble: Trouble) -> None:
        """A container cannot start just now. Of an image's troubles the reason is told here, and the rest
        where it was tried (pkg/kubelet/kuberuntime: startContainer)."""
        told = trouble.reason if trouble.image else trouble.message
        self.event("Warning", "Failed", f"Error: {told}", name)
        self.troubles[name] = trouble

    def block(self, trouble: Trouble) -> None:
        """The whole pod cannot go on just now."""
        self.event("Warning", trouble.reason, trouble.message)
        self.pod_trouble = trouble

    def event(self, type_: EventType, reason: str, message: str, container: str = "") -> None:
        """Tell of the pod, or of one of its containers."""
        field = self._fields.get(container, "")
        self._events.event(self.pod, type_, reason, message, field)


def _generation(pod: Doc) -> int:
    generation: int = pod["metadata"].get("generation", 0)
    return generation


def _mended(trouble: Trouble) -> Trouble:
    """One that the pod's own fields may have ended: the next look tries again."""
    if trouble.reason != "CreateContainerConfigError":
        return trouble
    return replace(trouble, retry_at=trouble.since)
