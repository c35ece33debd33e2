"""The probes and hooks of one pod's containers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import Health, key_of
from longshore.machinery.kubelet.pods.record import PodRecord
from longshore.machinery.kubelet.pods.tools import Tools
from longshore.machinery.kubelet.probes.handlers import Target
from longshore.machinery.kubelet.probes.run import Prober
from longshore.machinery.runtime.protocol import Container

_log = logging.getLogger("longshore.kubelet.pod")
# A hook that has no other bound (postStart) gets as long as a runtime call does upstream.
HOOK_MAX_S = 120.0


class Vitals:
    """Probes running containers; changed() is called whenever their health does."""

    def __init__(self, record: PodRecord, tools: Tools, changed: Callable[[], None]) -> None:
        self._record = record
        self._tools = tools
        self._changed = changed
        self._probers: dict[str, Prober] = {}

    def health(self) -> Mapping[str, Health]:
        return {name: prober.health for name, prober in self._probers.items()}

    def watch(self, container: Container, before: Health | None = None) -> None:
        """Probe a container that runs now. before is what an earlier life of the agent found: it
        holds until the probes say otherwise, lest a new agent takes all pods out of service."""
        self.leave(container.name)
        document = self._record.documents[container.name]
        prober = Prober(
            self._target(document, container),
            self._tools.checker,
            self._tools.clock,
            self._changed,
            partial(self._record.event, "Warning", container=container.name),
        )
        prober.told = partial(self._tools.metrics.probed, self._record.pod, container.name)
        if before is not None:
            prober.believe(before)
        if not prober.idle:
            self._probers[container.name] = prober
            name = f"probe {key_of(self._record.pod)}/{container.name}"
            prober.task = self._tools.crew.create_task(prober.run(), name=name)

    def leave(self, name: str, container_id: str = "") -> None:
        """Stop probing a container (only that very one, if its id is given)."""
        prober = self._probers.get(name)
        if prober is None or container_id not in ("", prober.container_id):
            return
        del self._probers[name]
        if prober.task is not None:
            prober.task.cancel()

    def leave_all(self) -> None:
        for name in list(self._probers):
            self.leave(name)

    async def hook(self, name: str, container: Container, within_s: float) -> bool:
        """Carry out postStart or preStop, if the container has it; whether all went well."""
        document = self._record.documents.get(container.name, {})
        hook = (document.get("lifecycle") or {}).get(name)
        if not hook:
            return True
        if "sleep" in hook:
            await self._tools.clock.sleep(min(float(hook["sleep"]["seconds"]), within_s))
            return True
        target = self._target(document, container)
        outcome = await self._tools.checker.carry_out(hook, target, min(within_s, HOOK_MAX_S))
        if not outcome.good:
            title = name[0].upper() + name[1:]
            # What it said may be somebody's secret, and Events are read by more than logs of nodes are.
            _log.warning("%sHook failed: %s: %s", title, self._record.uid, outcome.message)
            said = f"{title}Hook failed"
            self._record.event("Warning", f"Failed{title}Hook", said, container.name)
        elif outcome.warning:
            self._tools.metrics.fallbacks.add(())
            self._record.event("Warning", "LifecycleHTTPFallback", outcome.warning, container.name)
        return outcome.good

    def _target(self, document: Doc, container: Container) -> Target:
        ips = self._record.ips
        return Target(document, container.id, ips[0] if ips else "")
