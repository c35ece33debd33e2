"""Give one pod the resources that its spec asks for, while it runs: asked of the node's gate, then carried
out by the runtime, the pod's own bounds first where they grow and last where they shrink."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from longshore.base.quantities import whole
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import RETRY_S
from longshore.machinery.kubelet.containers.spec import running_resources
from longshore.machinery.kubelet.lifecycle.allotment import (
    WHOLE,
    given_to,
    grows,
    meanwhile,
    sentence,
    shrinks,
    too_tight,
)
from longshore.machinery.kubelet.lifecycle.model import SETTLED, TERMINAL_PHASES, Pending, Resizing
from longshore.machinery.kubelet.lifecycle.qos import pod_resources
from longshore.machinery.kubelet.pods.record import PodRecord
from longshore.machinery.kubelet.pods.tools import Tools
from longshore.machinery.runtime.protocol import (
    CanMeasure,
    CanUpdate,
    Container,
    Resources,
    RuntimeFailure,
)

# A change that has no room is looked at again, though nobody told of any (pkg/kubelet/allocation: retryDelay).
_RETRY_DEFERRED_S = 180.0


class Resizer:
    """The changes of one pod's resources."""

    def __init__(self, record: PodRecord, tools: Tools) -> None:
        self._record = record
        self._tools = tools

    def consider(self) -> None:
        """Ask the gate about what the spec has, if that is not what the pod has."""
        record, before = self._record, self._record.resizing
        over = record.verdict is not None or record.phase in TERMINAL_PHASES
        if not record.admitted or record.ending or over:
            return
        if not record.given:
            if before.pending is not None:
                self._tools.gate.reverted(record.uid)
                record.resizing = replace(before, pending=None)
            return
        now = self._tools.clock.now()
        record.resizing = after = self._tools.gate.resized(record.wanted, record.pod, before, now)
        if after.pending is not None:
            self._tell_pending(after.pending, before)
            return
        self._event("Normal", "ResizeStarted", "Pod resize started", after)
        record.grant()

    def _tell_pending(self, pending: Pending, before: Resizing) -> None:
        if not pending.infeasible:
            self._tools.alarm(self._record.uid, _RETRY_DEFERRED_S)
        old = before.pending
        if old is None or (old.reason, old.generation) != (pending.reason, pending.generation):
            begins, pod = f"Pod resize {pending.reason}", self._record.wanted
            message = sentence(begins, pod, pending.generation, pending.message)
            self._record.event("Warning", f"Resize{pending.reason}", message)

    async def actuate(self) -> None:
        """Give running containers what was set aside for them; what fails is tried again."""
        try:
            await self._change()
        except RuntimeFailure as error:
            self._failed(str(error))

    async def _change(self) -> None:
        runtime, record = self._tools.runtime, self._record
        assert isinstance(runtime, CanUpdate), "the gate grants nothing that the runtime cannot do"
        changes = [self._change_of(one) for one in record.running() if one.name in record.actual]
        await self._check_memory(changes)
        pids_limit = self._tools.config.resources.pod_pids_limit
        new, old = (
            pod_resources(pod["spec"], pids_limit) for pod in (record.pod, self._as_it_runs())
        )
        if grows(new, old):
            await runtime.update_sandbox(record.uid, meanwhile(new, old))
        for container, after, before in sorted(changes, key=lambda c: not shrinks(c[1], c[2])):
            if after != before:
                await runtime.update_container(container.id, after)
            record.actual.pop(container.name, None)
        if shrinks(new, old):
            await runtime.update_sandbox(record.uid, new)
        record.actual.pop(WHOLE, None)

    def _change_of(self, container: Container) -> tuple[Container, Resources, Resources]:
        """A container, what it is to have, and what it has."""
        document = self._record.documents[container.name]
        before = {**document, "resources": self._record.actual[container.name]}
        memory = whole(self._tools.allocatable().get("memory", 0))
        spec, was = self._record.pod["spec"], self._as_it_runs()["spec"]
        has = self._pinned(container.name, running_resources(before, was, memory))
        after = self._pinned(container.name, running_resources(document, spec, memory))
        # Whom the kernel ends first was decided at the start, as upstream has it.
        after = replace(after, oom_score_adj=has.oom_score_adj)
        uid, cpus = self._record.uid, self._tools.cpus
        pinned, had = (cpus.pinned(uid, container.name, one) for one in (after, has))
        return container, pinned, had

    def _pinned(self, name: str, limits: Resources) -> Resources:
        return self._tools.cpus.pinned(self._record.uid, name, limits)

    def _as_it_runs(self) -> Doc:
        return given_to(self._record.pod, self._record.actual)

    async def _check_memory(self, changes: list[tuple[Container, Resources, Resources]]) -> None:
        """Nobody is bounded to less memory than is in use, lest the kernel ends it. Raises RuntimeFailure."""
        runtime = self._tools.runtime
        if not any(shrinks(after, before) for _, after, before in changes):
            return
        used = (await runtime.usage())[1] if isinstance(runtime, CanMeasure) else {}
        wrong = [
            why
            for one, after, before in changes
            if one.id in used
            and (why := too_tight(one.name, after, before, used[one.id].memory_bytes))
        ]
        if wrong:
            said = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
            raise RuntimeFailure(f"cannot decrease memory limits: {said}")

    def _failed(self, error: str) -> None:
        record, before = self._record, self._record.resizing
        retry_at = self._tools.clock.now() + RETRY_S
        record.resizing = replace(before, error=error, retry_at=retry_at)
        if error != before.error:
            self._event("Warning", "ResizeError", "Pod resize error", before, error)

    def settle(self) -> None:
        """Nothing is left to do of what was granted, once no container has anything else."""
        record, before = self._record, self._record.resizing
        if before.generation is None or record.actual:
            return
        self._event("Normal", "ResizeCompleted", "Pod resize completed", before)
        record.resizing = replace(SETTLED, pending=before.pending)

    def _event(
        self,
        kind: Literal["Normal", "Warning"],
        reason: str,
        begins: str,
        of: Resizing,
        error: str = "",
    ) -> None:
        message = sentence(begins, self._record.wanted, of.generation or 0, error)
        self._record.event(kind, reason, message)
