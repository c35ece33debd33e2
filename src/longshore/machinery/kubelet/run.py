"""The node agent. Owns everything that runs for one node; pods themselves are in worker.py.

Cancelling run() is the graceful stop: containers keep running, and the next life adopts them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import replace

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, BadRequest, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Change, Client
from longshore.core.streams.protocols import ExecOptions, LogOptions, Session
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.cpus.machine import read_machine
from longshore.machinery.kubelet.cpus.plan import Machine
from longshore.machinery.kubelet.credentials import TokenSource
from longshore.machinery.kubelet.network import Guard, PodNetwork, Unguarded
from longshore.machinery.kubelet.node.machine import machine_facts
from longshore.machinery.kubelet.node.plan import MachineFacts
from longshore.machinery.kubelet.orphans import Orphans
from longshore.machinery.kubelet.parts import Parts, Setting, Workers
from longshore.machinery.kubelet.pods.worker import PodWorker
from longshore.machinery.kubelet.probes.handlers import Checker, RealChecker
from longshore.machinery.kubelet.resources.gauges import Gauges, MachineGauges
from longshore.machinery.kubelet.shutdown.run import shut_down
from longshore.machinery.kubelet.static.mirrors import of_the_api
from longshore.machinery.kubelet.static.run import StaticPods
from longshore.machinery.kubelet.statistics.run import Statistics
from longshore.machinery.kubelet.streams.dialling import dial
from longshore.machinery.kubelet.streams.logs import read_logs
from longshore.machinery.kubelet.streams.talking import open_session
from longshore.machinery.runtime.protocol import CanExec, Container, Runtime, RuntimeFailure

_log = logging.getLogger("longshore.kubelet")
_RETRY_S = 1.0


class Kubelet:
    """One node. runtime and network are its own; client acts as system:node:NAME."""

    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        runtime: Runtime,
        network: PodNetwork,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._config = config
        self._client = client
        self._runtime = runtime
        self._network = network
        self._clock = clock
        self._chance = chance
        # Replaced by tests that have no machine or no network to speak of.
        self.facts: Callable[[], MachineFacts] = lambda: machine_facts(config.root)
        # Who gives tokens of service accounts; without, no pod that asks for one can run here.
        self.tokens: TokenSource | None = None
        self.guard: Guard = Unguarded()
        self.checker: Checker = RealChecker(runtime if isinstance(runtime, CanExec) else None)
        self._workers: dict[str, PodWorker] = {}
        self._uids: dict[tuple[str, str], str] = {}
        self._found: dict[str, list[Container]] = {}
        self._static = StaticPods(
            config.static_pods, config.node_name, client, clock, self._offer, self._clear
        )
        self.gauges: Gauges = MachineGauges(config.root)
        self.machine: Callable[[], Machine] = lambda: read_machine(config.resources)
        self.statistics = Statistics(
            config, runtime, clock, self._here, lambda: self.gauges, lambda: self.facts()
        )

    async def run(self) -> None:
        """Serve the node until cancelled."""
        for directory in (self._config.pods_dir, self._config.logs_dir):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._runtime.open()
        try:
            await self._serve()
        finally:
            await self._runtime.close()

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as crew:
            parts = Parts(self._setting(), Workers(self._here, self._ring, self._outdated), crew)
            self._tools, self._writer = parts.tools, parts.writer
            self._static_tools = parts.static_tools(self._static.mirrors)
            self._found = await self._by_sandbox()
            for name, work in (
                *parts.loops(),
                ("static pods", self._static.run()),
                ("pods", self._follow_pods()),
                ("containers", self._follow_containers()),
            ):
                crew.create_task(work, name=name)

    def _setting(self) -> Setting:
        return Setting(
            self._config, self._client, self._runtime, self._network, self.guard, self.checker,
            self._clock, self.tokens, lambda: self.gauges, lambda: self.machine(),
            lambda: self.facts(), self.statistics.agent,
        )  # fmt: skip

    async def shut_down(self) -> None:
        """End all pods, the lowest priorities first, and take no others: the machine is shut down."""
        await shut_down(self._tools, self._writer, self._workers.values)

    def logs(
        self, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """A container's log, as core/streams has it: NotFound or BadRequest before the first piece."""
        return read_logs(self._worker(namespace, pod), container, options, self._clock)

    async def exec(self, namespace: str, pod: str, container: str, options: ExecOptions) -> Session:
        """Run options.command in a container. Raises NotFound, BadRequest or InternalError."""
        if not options.command:
            raise BadRequest("you must specify at least 1 command for the container")
        return await open_session(self._runtime, self._worker(namespace, pod), container, options)

    async def attach(
        self, namespace: str, pod: str, container: str, options: ExecOptions
    ) -> Session:
        """Join a container's main process. Raises NotFound, BadRequest or InternalError."""
        attaching = replace(options, command=())
        return await open_session(self._runtime, self._worker(namespace, pod), container, attaching)

    async def dial(
        self, namespace: str, pod: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port of a pod that runs. Raises NotFound, BadRequest or OSError."""
        worker = self._worker(namespace, pod)
        place = self._network.attached().get(worker.uid)
        on_host = worker.pod["spec"].get("hostNetwork")
        if not any(worker.running()) or not (on_host or place):
            raise BadRequest(f"pod {pod} is not running")
        return await dial(place.netns if place else self._config.host_netns, port)

    def _here(self) -> list[PodWorker]:
        return list(self._workers.values())

    def _worker(self, namespace: str, pod: str) -> PodWorker:
        worker = self._workers.get(self._uids.get((namespace, pod), ""))
        if worker is None:
            raise NotFound.of(kinds.POD, pod)
        return worker

    # -- pods --------------------------------------------------------------------------------

    async def _follow_pods(self) -> None:
        while True:
            try:
                await self._follow_once()
            except (ApiError, OSError) as error:
                _log.info("node %s: pods: %s", self._config.node_name, error)
                await self._clock.sleep(_RETRY_S)

    async def _follow_once(self) -> None:
        await self._static.ready.wait()
        selector = f"spec.nodeName={self._config.node_name}"
        listing, feed = await self._client.list_and_watch(kinds.POD, fields=selector)
        try:
            await self._settle_in(listing.items)
            while True:
                for change in await feed.next_batch():
                    self._take(change)
        finally:
            feed.close()

    async def _settle_in(self, pods: Iterable[Doc]) -> None:
        """Begin with the pods that there are: adopt their containers, end all others."""
        self._found = await self._by_sandbox()
        pods = self._static.mirrors.without_mirrors(list(pods))
        present, static = {pod["metadata"]["uid"]: pod for pod in pods}, self._static.uids()
        for uid in [uid for uid in self._workers if uid not in present and uid not in static]:
            self._drop(uid)
        for pod in present.values():
            self._offer(of_the_api(pod))
        kept = self._workers.keys() | present.keys()
        self._tools.cpus.keep(kept)
        orphans = Orphans(self._config, self._runtime, self._network, self._clock)
        self._tools.crew.create_task(orphans.remove_all_but(kept, self._found), name="orphans")
        give_back = self._tools.devices.release_all_but(frozenset(kept))
        self._tools.crew.create_task(give_back, name="devices of orphans")

    async def _by_sandbox(self) -> dict[str, list[Container]]:
        found: dict[str, list[Container]] = defaultdict(list)
        for container in await self._runtime.containers():
            found[container.sandbox].append(container)
        return found

    async def _clear(self, names: Collection[tuple[str, str]], uids: Collection[str]) -> None:
        """End what runs under the names of static pods and is none of them."""
        orphans = Orphans(self._config, self._runtime, self._network, self._clock)
        for sandbox in await self._runtime.sandboxes():
            if (sandbox.namespace, sandbox.name) in names and sandbox.id not in uids:
                await orphans.remove(sandbox.id, self._found.pop(sandbox.id, []))

    def _take(self, change: Change) -> None:
        if self._static.mirrors.hear(change):
            return
        if change.type == "DELETED":
            self._drop(change.doc["metadata"]["uid"])
        else:
            self._offer(of_the_api(change.doc))

    def _offer(self, pod: Doc) -> None:
        metadata = pod["metadata"]
        uid: str = metadata["uid"]
        worker = self._workers.get(uid)
        if worker is not None:
            return worker.offer(pod)
        tools = self._static_tools if uid in self._static.uids() else self._tools
        worker = PodWorker(pod, self._found.pop(uid, []), tools)
        self._workers[uid] = worker
        self._uids[metadata["namespace"], metadata["name"]] = uid
        self._tools.crew.create_task(self._work(worker), name=f"pod {uid}")

    async def _work(self, worker: PodWorker) -> None:
        await worker.run()
        # One that ended because its pod vanished is not heard of again; any other stays until the
        # API server says DELETED, lest a late MODIFIED brings the pod back to life.
        static = worker.uid in self._static.uids()
        if worker.vanished or static:
            self._forget(worker)
        if static:
            self._static.ended(worker.uid)

    def _drop(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is None:
            return
        worker.vanish()
        if worker.done:
            self._forget(worker)

    def _forget(self, worker: PodWorker) -> None:
        self.statistics.agent.forget(worker.uid)
        self._workers.pop(worker.uid, None)
        metadata = worker.pod["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if self._uids.get(key) == worker.uid:
            del self._uids[key]

    def _outdated(self, uid: str) -> None:
        if (worker := self._workers.get(uid)) is not None:
            worker.outdated()

    def _ring(self, uid: str) -> None:
        if (worker := self._workers.get(uid)) is not None:
            worker.poke()

    # -- containers --------------------------------------------------------------------------

    async def _follow_containers(self) -> None:
        """Tell workers when their containers change by themselves."""
        while True:
            try:
                changed = await self._runtime.changed()
                seen = await self._by_sandbox()
            except RuntimeFailure as error:
                _log.warning("node %s: containers: %s", self._config.node_name, error)
                await self._clock.sleep(_RETRY_S)
                continue
            for uid in changed:
                if (worker := self._workers.get(uid)) is not None:
                    worker.observe(seen.get(uid, []))
