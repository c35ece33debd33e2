"""One pod's worker: looks, asks plan.py what to do, does it, reports. One thing at a time.

Everything that could change the answer (the pod's document, a container's end, a probe, an alarm)
only wakes the worker, which then looks at all of it anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from longshore.base.files import told
from longshore.base.quantities import whole
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.abilities import abilities, runtime_name
from longshore.machinery.kubelet.config import RECONCILE_S, RETRY_S
from longshore.machinery.kubelet.containers.facts import ConfigMissing, Facts
from longshore.machinery.kubelet.containers.files import full_hostname_of
from longshore.machinery.kubelet.containers.spec import running_resources, sandbox_spec
from longshore.machinery.kubelet.containers.support import refused
from longshore.machinery.kubelet.devices.claims.plan import NotReady
from longshore.machinery.kubelet.lifecycle.model import (
    TERMINAL_PHASES,
    PodView,
    Trouble,
    Verdict,
    full_name,
    key_of,
)
from longshore.machinery.kubelet.lifecycle.plan import (
    Admit,
    Finish,
    Kill,
    Prepare,
    Release,
    Reset,
    Resize,
    Start,
    Step,
    grace_s,
    plan_pod,
)
from longshore.machinery.kubelet.lifecycle.recall import health_reported, recalled
from longshore.machinery.kubelet.lifecycle.status import doubted, is_certain, pod_status
from longshore.machinery.kubelet.network import admission_of
from longshore.machinery.kubelet.pods.entering import enter
from longshore.machinery.kubelet.pods.place import PodPlace
from longshore.machinery.kubelet.pods.record import PodRecord
from longshore.machinery.kubelet.pods.resizing import Resizer
from longshore.machinery.kubelet.pods.starting import Starter
from longshore.machinery.kubelet.pods.tools import Tools
from longshore.machinery.kubelet.pods.vitals import Vitals
from longshore.machinery.kubelet.pods.volumes import VolumeKeeper
from longshore.machinery.kubelet.volumes.run import VolumeFailure
from longshore.machinery.network.errors import NetworkFailure
from longshore.machinery.runtime.protocol import (
    Container,
    Resources,
    RuntimeFailure,
    State,
)

_log = logging.getLogger("longshore.kubelet.pod")
_FOREVER = float("inf")
# A preStop hook that used up the grace leaves the container this long (pkg/kubelet: minimum grace).
_GRACE_MIN_S = 2.0


class PodWorker:
    """Makes one pod real. run() ends when nothing of it is left on the node."""

    def __init__(self, pod: Doc, containers: Iterable[Container], tools: Tools) -> None:
        self._tools = tools
        self._record = PodRecord(pod, tools.config, tools.events, tools.clock.now())
        self._record.runtime = runtime_name(tools.runtime)
        self._place = PodPlace(tools.config, pod)
        self.done = False
        self._wake = asyncio.Event()
        self._wake.set()
        self._ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._vitals = Vitals(self._record, tools, self.poke)
        self._starter = Starter(self._record, self._place, tools, self._report, self._ending)
        self._volumes = VolumeKeeper(self._record, self._place, tools)
        self._resizer = Resizer(self._record, tools)
        self._stopping_s = 0.0
        self._adopt(containers)

    @property
    def uid(self) -> str:
        return self._record.uid

    @property
    def vanished(self) -> bool:
        return self._record.gone

    @property
    def condemned(self) -> bool:
        """Whether the node has ended the pod."""
        return self._record.verdict is not None

    @property
    def pod(self) -> Doc:
        return self._record.pod

    # -- what others tell it, and ask --------------------------------------------------------

    def offer(self, pod: Doc) -> None:
        """A newer document of the pod."""
        self._volumes.compare(self.pod, pod)
        self._record.take(pod)
        self._doubt(pod)
        if self._record.ending:
            self._end()
        self._wake.set()

    def _doubt(self, pod: Doc) -> None:
        """Look again in a while if the API server has not what was reported."""
        record, now = self._record, self._tools.clock.monotonic()
        before, record.doubted_at = (
            record.doubted_at,
            doubted(record.doubted_at, pod, record.reported, now),
        )
        if before is None and record.doubted_at is not None:
            self._tools.alarm(self.uid, RECONCILE_S)

    def vanish(self) -> None:
        """The API server no longer has the pod: its room is given to others there already."""
        self._record.gone = True
        self._tools.gate.leave(self.uid)
        self._tools.devices.leave(self.uid)
        self._end()
        self._wake.set()

    @property
    def ended(self) -> bool:
        """Whether none of its containers runs, for good."""
        return self.done or self._record.phase in TERMINAL_PHASES

    def condemn(self, verdict: Verdict) -> None:
        """The node ends the pod by itself; the first verdict stands."""
        if self._record.verdict is None and self._record.phase not in TERMINAL_PHASES:
            self._record.verdict = verdict
            self._end()
            self._wake.set()

    def observe(self, containers: Iterable[Container]) -> None:
        """What the runtime has of this pod now."""
        for container in containers:
            self._note(container)
        self._wake.set()

    def poke(self) -> None:
        self._wake.set()

    def outdated(self) -> None:
        """What its volumes are made of has changed."""
        self._volumes.outdated()
        self._wake.set()

    def newest(self, container: str, previous: bool) -> Container | None:
        """The newest attempt of a container that was started, or the one before."""
        record = self._record
        return record.previous(container) if previous else record.newest(container)

    def running(self) -> Iterable[Container]:
        return self._record.running()

    def waits_for(self, container: str) -> str:
        """The reason of its waiting, as was reported last; empty if it does not wait."""
        known = (after for _, after in _pairs({}, self._record.reported))
        return next((_waiting(s).get("reason", "") for s in known if s["name"] == container), "")

    def limits(self, container: str) -> Resources:
        """Of a container, but for its CPUs."""
        memory = whole(self._tools.allocatable().get("memory", 0))
        return running_resources(self._record.documents[container], self.pod["spec"], memory)

    def log_path(self, container: Container) -> str:
        return container.log_path or str(self._place.log_path(container.name, container.attempt))

    def has_container(self, name: str) -> bool:
        return name in self._record.documents

    def _end(self) -> None:
        """Stop waiting for images; a second delete with a shorter grace hurries the first."""
        if not self._ending.done():
            self._ending.set_result(None)
        if (grace := grace_s(self._view())) < self._stopping_s:
            self._stopping_s = grace
            for container in self._record.running():
                self._tools.crew.create_task(self._hurry(container.id, grace))

    async def _hurry(self, container_id: str, grace_s: float) -> None:
        try:
            await self._tools.runtime.stop_container(container_id, grace_s)
        except RuntimeFailure as error:
            _log.warning("pod %s: %s", key_of(self.pod), error)

    # -- what it knows -----------------------------------------------------------------------

    def _view(self) -> PodView:
        return self._record.view(self._tools.clock.now(), self._vitals.health())

    def _facts(self) -> Facts:
        return self._record.facts(self._tools.allocatable())

    def _adopt(self, containers: Iterable[Container]) -> None:
        """Take over what an earlier life of the agent left, and what only status remembers."""
        record, attached = self._record, self._tools.network.attached().get(self.uid)
        record.held = attached is not None or self._place.exists
        if attached is not None:
            record.ips = (attached.ip,)
        for container in containers:
            self._note(container)
        for container in recalled(self.pod, record.attempts, self._tools.clock.now()):
            self._note(container)
        for container in record.running():
            if container.name in record.documents:
                self._vitals.watch(container, health_reported(self.pod, container.name))
        record.admitted = record.admitted or bool(record.attempts)
        if record.admitted and record.phase not in TERMINAL_PHASES:
            self._tools.gate.adopt(self.pod)

    def _note(self, container: Container) -> None:
        if not self._record.note(container):
            return
        self._vitals.leave(container.name, container.id)
        self._hear_out(container)

    def _hear_out(self, container: Container) -> None:
        """Remember the last words of one that has ended."""
        document = self._record.documents.get(container.name)
        if document is not None and (message := self._place.message(document, container)):
            self._record.messages[container.name, container.attempt] = message

    # -- the loop ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Look whenever woken, until the pod is gone."""
        while not self.done:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._sync()
            except Exception as error:  # noqa: BLE001  the rim: no pod's failure is its neighbours'
                _log.warning("pod %s: %r", key_of(self.pod), error)
                self._record.event("Warning", "FailedSync", f"error syncing pod: {told(error)}")
                self._tools.alarm(self.uid, RETRY_S)

    async def _sync(self) -> None:
        self._resizer.consider()
        while (plan := plan_pod(self._view())).steps:
            await self._apply(plan.steps)
            if self.done:
                return
        self._resizer.settle()
        self._report()
        await self._volumes.refresh()
        wake_at = min(plan.wake_at or _FOREVER, self._volumes.refresh_at)
        if wake_at < _FOREVER:
            self._tools.alarm(self.uid, wake_at - self._tools.clock.now())

    async def _apply(self, steps: tuple[Step, ...]) -> None:
        kills = [step for step in steps if isinstance(step, Kill)]
        if kills:
            await self._kill_all(kills)
        for step in steps:
            if self._record.ending and isinstance(step, Prepare | Start):
                return
            await self._one(step)

    async def _one(self, step: Step) -> None:
        match step:
            case Admit():
                await enter(self._record, self._tools)
            case Prepare():
                await self._prepare()
            case Start():
                await self._start(step)
            case Resize():
                await self._resizer.actuate()
            case Reset():
                self._record.reset()
            case Release():
                await self._release()
            case Finish():
                await self._finish()

    def _report(self) -> None:
        """Send the status if it says anything new."""
        record = self._record
        if is_certain(record.doubted_at, self._tools.clock.monotonic()):
            record.reported, record.doubted_at = {}, None
        status = pod_status(self._view())
        if status != record.reported and not record.gone:
            self._tell_backoffs(status)
            if status["phase"] == "Running" != record.phase:
                self._tools.metrics.pod_started(self._tools.clock.now() - record.started_at)
            record.reported, record.phase = status, status["phase"]
            if record.phase in TERMINAL_PHASES:
                self._leave_room()
            self._tools.writer.put(self.pod, status)

    def _leave_room(self) -> None:
        self._tools.gate.leave(self.uid)
        self._tools.cpus.release(self.uid)

    def _tell_backoffs(self, status: Doc) -> None:
        for before, after in _pairs(self._record.reported, status):
            was, waiting = _waiting(before), _waiting(after)
            again = before.get("restartCount") != after["restartCount"]
            news = again or waiting.get("reason") != was.get("reason")
            if news and waiting.get("reason") == "CrashLoopBackOff":
                self._record.event("Warning", "BackOff", f"Back-off restarting failed container "
                            f"{after['name']} in pod {full_name(self.pod)}", after["name"])  # fmt: skip
            if news and waiting.get("reason") == "ImagePullBackOff":
                said = waiting["message"].partition(": ErrImagePull")[0]
                self._record.event("Normal", "BackOff", said, after["name"])
                self._record.event("Warning", "Failed", "Error: ImagePullBackOff", after["name"])

    # -- preparing ---------------------------------------------------------------------------

    async def _prepare(self) -> None:
        """Network, volumes, sandbox; or a trouble that says what is in the way."""
        refusal = refused(self.pod["spec"], abilities(self._tools.runtime))
        if refusal:
            reason = "FailedMount" if "spec.volumes[" in refusal else "NotSupported"
            return self._blocked(reason, refusal, _FOREVER)
        try:
            await self._attach_and_mount()
        except (ConfigMissing, VolumeFailure) as error:
            self._blocked("FailedMount", str(error), RETRY_S)
        except NotReady as error:
            message = f"Failed to prepare dynamic resources: {error}"
            self._blocked("FailedPrepareDynamicResources", message, RETRY_S)
        except (RuntimeFailure, NetworkFailure, OSError) as error:
            self._blocked(
                "FailedCreatePodSandBox", f"Failed to create pod sandbox: {told(error)}", RETRY_S
            )
        except ApiError as error:
            self._blocked("FailedMount", error.message, RETRY_S)

    def _blocked(self, reason: str, message: str, retry_s: float) -> None:
        now = self._tools.clock.now()
        self._record.block(Trouble(reason, message, now, now + retry_s))

    async def _attach_and_mount(self) -> None:
        tools, pod, record = self._tools, self.pod, self._record
        hostname = full_hostname_of(pod, tools.config.node_name, tools.config.cluster_domain)
        # The API server is asked, and the guard at work, while the frame is made.
        sources = tools.crew.create_task(self._volumes.fetched())
        await tools.devices.prepare(pod)
        netns = await self._attach()
        admission = tools.crew.create_task(admission_of(pod, record.ips[0], tools.guard))
        self._place.prepare(pod, record.ips, tools.node_resolv_conf)
        pids_limit = tools.config.resources.pod_pids_limit
        frame = sandbox_spec(self._facts(), hostname, netns, self._place.logs, pids_limit)
        handler = await tools.fetcher.handler(pod["spec"])
        with tools.metrics.operation("run_podsandbox"):
            await tools.runtime.run_sandbox(replace(frame, handler=handler))
        await self._volumes.set_up(await sources)
        if (failure := await admission) is not None:
            raise failure
        record.sandbox, record.pod_trouble = True, None

    async def _attach(self) -> str:
        """The path of the pod's network namespace; its addresses are known after."""
        record, config = self._record, self._tools.config
        record.held = True
        if self.pod["spec"].get("hostNetwork"):
            record.ips = (config.node_ip,)
            return config.host_netns
        place = await self._tools.network.attach(self.uid)
        record.ips = (place.ip,)
        return place.netns

    # -- starting ----------------------------------------------------------------------------

    async def _start(self, step: Start) -> None:
        started = await self._starter.start(step)
        if started is None:
            return
        if started.state is State.EXITED:
            self._hear_out(started)
        # It may have ended, and been seen to, while the runtime was still answering.
        if self._record.newest(step.name) is started and started.state is not State.EXITED:
            self._vitals.watch(started)
            if not await self._vitals.hook("postStart", started, _FOREVER):
                await self._give_up(started)
        await self._starter.forget_old(step.name)

    async def _give_up(self, started: Container) -> None:
        """End a container whose postStart hook failed, if it still runs, with all that its end has
        (pkg/kubelet/kuberuntime: startContainer)."""
        newest = self._record.newest(started.name)
        if newest is not None and newest.state is not State.EXITED:
            why, grace = "FailedPostStartHook", grace_s(self._view())
            await self._kill_all([Kill(started.name, started.id, grace, why, why)])

    # -- ending ------------------------------------------------------------------------------

    async def _kill_all(self, kills: list[Kill]) -> None:
        """Stop containers side by side. Raises RuntimeFailure if one could not be stopped."""
        self._stopping_s = min(kill.grace_s for kill in kills)
        async with asyncio.TaskGroup() as crew:
            stops = {kill: crew.create_task(self._kill(kill)) for kill in kills}
        self._stopping_s = 0.0
        await self._look()
        for kill, task in stops.items():
            if (error := task.result()) is not None:
                self._record.event("Warning", "FailedKillPod", f"error killing pod: {error}")
                raise error
            self._mark_ended(kill)

    async def _kill(self, kill: Kill) -> RuntimeFailure | None:
        """The failure as a value: a failed task would end its siblings."""
        self._vitals.leave(kill.name)
        self._record.event("Normal", "Killing", kill.message, kill.name)
        began = self._tools.clock.now()
        container = self._record.newest(kill.name)
        assert container is not None, f"killing {kill.name}, which was never seen"
        await self._vitals.hook("preStop", container, kill.grace_s)
        left = kill.grace_s - (self._tools.clock.now() - began)
        left = max(left, min(kill.grace_s, _GRACE_MIN_S))
        try:
            with self._tools.metrics.operation("stop_container"):
                await self._tools.runtime.stop_container(kill.container_id, left)
        except RuntimeFailure as error:
            return error
        return None

    async def _look(self) -> None:
        for container in await self._tools.runtime.containers():
            if container.sandbox == self.uid:
                self._note(container)

    def _mark_ended(self, kill: Kill) -> None:
        """stop_container() has returned, so it is gone, even if the runtime forgot it as well."""
        for container in list(self._record.attempts[kill.name].values()):
            if container.id == kill.container_id and container.state is not State.EXITED:
                now = self._tools.clock.now()
                self._note(replace(container, state=State.EXITED, finished_at=now, exit_code=137))

    async def _release(self) -> None:
        self._volumes.give_up()
        await self._tools.devices.release(self.uid)
        await asyncio.to_thread(self._place.release)
        await self._tools.network.detach(self.uid)
        self._record.held = self._record.sandbox = False

    async def _finish(self) -> None:
        tools = self._tools
        self._vitals.leave_all()
        self._volumes.give_up()
        status = pod_status(self._view())
        self._leave_room()
        await tools.devices.release(self.uid)
        with tools.metrics.operation("remove_podsandbox"):
            await tools.runtime.remove_sandbox(self.uid)
        await asyncio.to_thread(self._place.remove)
        await tools.network.detach(self.uid)
        if tools.fetcher.credentials is not None:
            tools.fetcher.credentials.forget(self.uid)
        if not self._record.gone:
            assert status["phase"] in TERMINAL_PHASES, f"{key_of(self.pod)}: {status['phase']}"
            await tools.writer.finish(self.pod, status)
        self.done = True


def _waiting(status: Doc) -> Doc:
    waiting: Doc = (status.get("state") or {}).get("waiting") or {}
    return waiting


def _pairs(before: Doc, after: Doc) -> Iterable[tuple[Doc, Doc]]:
    """Container statuses of two pod statuses, matched by name."""
    for kind in ("initContainerStatuses", "containerStatuses"):
        old = {status["name"]: status for status in before.get(kind) or []}
        for status in after.get(kind) or []:
            yield old.get(status["name"], {}), status
