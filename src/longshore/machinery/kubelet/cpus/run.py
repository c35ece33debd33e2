"""The CPUs of one node: who has some for himself is kept in a file, and all others are kept off them.

ROOT/cpu_manager_state has what upstream's file of that name has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import orjson

from longshore.base.files import write_private
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.cpus.lists import cpus_text, parse_cpus
from longshore.machinery.kubelet.cpus.plan import Cpus, Machine, Short, assign, shared
from longshore.machinery.kubelet.lifecycle.model import Verdict
from longshore.machinery.runtime.protocol import (
    CanUpdate,
    Container,
    Resources,
    Runtime,
    RuntimeFailure,
)

_log = logging.getLogger("longshore.kubelet.cpus")
STATE = "cpu_manager_state"


class Bounded(Protocol):
    """A pod of the node whose containers have limits."""

    @property
    def uid(self) -> str: ...

    def running(self) -> Iterable[Container]: ...

    def limits(self, container: str) -> Resources:
        """Of a container of the pod, but for its CPUs."""


class CpuManager:
    """One per node. Without a machine nobody has CPUs of his own (policy none)."""

    def __init__(
        self,
        directory: Path,
        machine: Machine | None,
        runtime: Runtime,
        pods: Callable[[], Iterable[Bounded]],
    ) -> None:
        self._path = directory / STATE
        self._machine = machine
        self._runtime = runtime
        self._pods = pods
        self._owned: dict[str, dict[str, Cpus]] = {}
        self._told: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()

    def load(self) -> None:
        """What an earlier life wrote. What cannot be read counts as never written."""
        if self._machine is None:
            return
        try:
            entries = orjson.loads(self._path.read_bytes())["entries"]
            self._owned = {
                uid: {name: parse_cpus(text) for name, text in containers.items()}
                for uid, containers in entries.items()
            }
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("%s: %s; who has CPUs for himself is not known", self._path, error)
        self._changed.set()

    def keep(self, uids: Collection[str]) -> None:
        """Only these pods are on the node."""
        for uid in [uid for uid in self._owned if uid not in uids]:
            self.release(uid)

    async def admit(self, pod: Doc) -> Verdict | None:
        """Give the pod its CPUs; or why it is not taken. When this returns nobody else is on them."""
        uid = pod["metadata"]["uid"]
        if self._machine is None or uid in self._owned:
            return None
        found = assign(self._machine, self._owned, pod)
        if isinstance(found, Short):
            words = f"Allocate failed due to {found}, which is unexpected"
            return Verdict("UnexpectedAdmissionError", words)
        if found:
            self._owned[uid] = dict(found)
            await self._settle()
        return None

    def release(self, uid: str) -> None:
        """The pod has ended: what it had is everybody's again."""
        if self._owned.pop(uid, None):
            self._changed.set()

    def pinned(self, uid: str, container: str, limits: Resources) -> Resources:
        """The limits with the CPUs that the container may run on. Who has his own is not held back
        on them (KEP-3570: no CFS quota)."""
        if self._machine is None:
            return limits
        own = self._owned.get(uid, {}).get(container)
        if own:
            return replace(limits, cpuset=cpus_text(own), cpu_limit_millis=0)
        return replace(limits, cpuset=cpus_text(shared(self._machine, self._owned)))

    async def run(self) -> None:
        """Keep everybody off what others own until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._settle()

    async def _settle(self) -> None:
        """Write down who has what, then move those that share."""
        async with self._turn:
            try:
                await asyncio.to_thread(write_private, self._path, self._content())
            except OSError as error:
                _log.warning("%s: %s", self._path, error)
            await self._move()

    async def _move(self) -> None:
        told, runtime = self._told, self._runtime
        if not isinstance(runtime, CanUpdate):
            return
        self._told = {}
        for pod in list(self._pods()):
            for container in pod.running():
                limits = self.pinned(pod.uid, container.name, pod.limits(container.name))
                if told.get(container.id) != limits.cpuset:
                    await self._tell(runtime, container, limits)
                self._told[container.id] = limits.cpuset

    async def _tell(self, runtime: CanUpdate, container: Container, limits: Resources) -> None:
        try:
            await runtime.update_container(container.id, limits)
        except RuntimeFailure as error:  # it may have ended just now
            _log.info("container %s: %s", container.id[:12], error)

    def _content(self) -> bytes:
        assert self._machine is not None, "policy none keeps nothing"
        entries = {
            uid: {name: cpus_text(cpus) for name, cpus in containers.items()}
            for uid, containers in self._owned.items()
        }
        rest = cpus_text(shared(self._machine, self._owned))
        state = {"policyName": "static", "defaultCpuSet": rest, "entries": entries}
        return orjson.dumps(state)
