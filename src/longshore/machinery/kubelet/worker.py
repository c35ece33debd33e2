"""One pod's worker: looks, asks plan.py what to do, does it, reports. One thing at a time.

Everything that could change the answer (the pod's document, a container's end, a probe, an alarm)
only wakes the worker, which then looks at all of it anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from longshore.base.clock import Clock, parse_rfc3339
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import RETRY_S, VOLUME_REFRESH_S, KubeletConfig
from longshore.machinery.kubelet.environment import container_env
from longshore.machinery.kubelet.events import EventType, Recorder
from longshore.machinery.kubelet.facts import ConfigMissing, Facts
from longshore.machinery.kubelet.files import hostname_of
from longshore.machinery.kubelet.images import Puller
from longshore.machinery.kubelet.model import (
    START_ERROR_EXIT_CODE,
    TERMINAL_PHASES,
    Backoff,
    PodView,
    Trouble,
    init_containers,
    key_of,
    main_containers,
)
from longshore.machinery.kubelet.network import PodNetwork
from longshore.machinery.kubelet.place import PodPlace
from longshore.machinery.kubelet.plan import (
    Finish,
    Kill,
    Prepare,
    Release,
    Start,
    Step,
    grace_s,
    next_backoff,
    plan_pod,
)
from longshore.machinery.kubelet.probes.handlers import Checker, Target
from longshore.machinery.kubelet.probes.run import Prober
from longshore.machinery.kubelet.recall import recalled
from longshore.machinery.kubelet.sources import Fetcher
from longshore.machinery.kubelet.spec import Place, container_spec, pod_labels, pull_policy
from longshore.machinery.kubelet.status import pod_status
from longshore.machinery.kubelet.support import refused
from longshore.machinery.kubelet.volumes.plan import Payload, Volume, plan_volumes, stale
from longshore.machinery.kubelet.volumes.run import VolumeFailure
from longshore.machinery.kubelet.writer import StatusWriter
from longshore.machinery.network.errors import NetworkFailure
from longshore.machinery.runtime.protocol import (
    CanExec,
    Container,
    Image,
    ImageMissing,
    Runtime,
    RuntimeFailure,
    SandboxSpec,
    StartFailed,
    State,
)

_log = logging.getLogger("longshore.kubelet.pod")
_FOREVER = float("inf")
# A preStop hook that used up the grace leaves the container this long (pkg/kubelet: minimum grace).
_GRACE_MIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What all workers of a node share. alarm(uid, seconds) wakes a worker later; starts bounds
    how many containers start at the same moment."""

    config: KubeletConfig
    runtime: Runtime
    network: PodNetwork
    clock: Clock
    events: Recorder
    writer: StatusWriter
    crew: asyncio.TaskGroup
    puller: Puller
    fetcher: Fetcher
    checker: Checker
    starts: asyncio.Semaphore
    alarm: Callable[[str, float], None]
    allocatable: Callable[[], Mapping[str, str]]
    node_resolv_conf: str = ""


class PodWorker:
    """Makes one pod real. run() ends when nothing of it is left on the node."""

    def __init__(self, pod: Doc, containers: Iterable[Container], tools: Tools) -> None:
        self._tools = tools
        self._pod = pod
        self._place = PodPlace(tools.config, pod)
        self._gone = False
        self.done = False
        self._wake = asyncio.Event()
        self._wake.set()
        self._ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._attempts: dict[str, dict[int, Container]] = {}
        self._messages: dict[tuple[str, int], str] = {}
        self._troubles: dict[str, Trouble] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._pulls: dict[str, Backoff] = {}
        self._probers: dict[str, Prober] = {}
        self._pod_trouble: Trouble | None = None
        self._sandbox = False
        self._ips: tuple[str, ...] = ()
        self._volumes: tuple[Volume, ...] = ()
        self._refresh_at = _FOREVER
        self._version = 0
        self._stopping_s = 0.0
        status = pod.get("status") or {}
        self._reported: Doc = {}
        self._phase: str = status.get("phase") or "Pending"
        now = tools.clock.now()
        started = status.get("startTime")
        self._started_at = parse_rfc3339(started) if started else now
        self._held = self.uid in tools.network.attached() or self._place.exists
        self._containers = {
            c["name"]: c for c in (*init_containers(pod["spec"]), *main_containers(pod["spec"]))
        }
        self._adopt(containers)

    @property
    def uid(self) -> str:
        uid: str = self._pod["metadata"]["uid"]
        return uid

    @property
    def vanished(self) -> bool:
        return self._gone

    @property
    def pod(self) -> Doc:
        return self._pod

    # -- what others tell it -----------------------------------------------------------------

    def offer(self, pod: Doc) -> None:
        """A newer document of the pod."""
        self._pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._end()
        self._wake.set()

    def vanish(self) -> None:
        """The API server no longer has the pod."""
        self._gone = True
        self._end()
        self._wake.set()

    def observe(self, containers: Iterable[Container]) -> None:
        """What the runtime has of this pod now."""
        for container in containers:
            self._note(container)
        self._wake.set()

    def poke(self) -> None:
        self._wake.set()

    def newest(self, container: str, previous: bool) -> Container | None:
        """The newest attempt of a container that was started, or the one before."""
        return (self._view().previous if previous else self._view().containers).get(container)

    def log_path(self, container: Container) -> str:
        return container.log_path or str(self._place.log_path(container.name, container.attempt))

    def has_container(self, name: str) -> bool:
        return name in self._containers

    def _end(self) -> None:
        """Stop waiting for images; a second delete with a shorter grace hurries the first."""
        if not self._ending.done():
            self._ending.set_result(None)
        view = self._view()
        if (grace := grace_s(view)) < self._stopping_s:
            self._stopping_s = grace
            for name, container in view.containers.items():
                if view.running(name):
                    self._tools.crew.create_task(self._hurry(container.id, grace))

    async def _hurry(self, container_id: str, grace_s: float) -> None:
        try:
            await self._tools.runtime.stop_container(container_id, grace_s)
        except RuntimeFailure as error:
            _log.warning("pod %s: %s", key_of(self._pod), error)

    # -- what it knows -----------------------------------------------------------------------

    def _view(self) -> PodView:
        ordered = {name: sorted(known) for name, known in self._attempts.items()}
        return PodView(
            doc=self._pod,
            now=self._tools.clock.now(),
            containers={n: self._attempts[n][a[-1]] for n, a in ordered.items()},
            previous={n: self._attempts[n][a[-2]] for n, a in ordered.items() if len(a) > 1},
            sandbox=self._sandbox,
            ips=self._ips,
            host_ip=self._tools.config.node_ip,
            pod_trouble=self._pod_trouble,
            troubles=self._troubles,
            backoffs=self._backoffs,
            health={name: prober.health for name, prober in self._probers.items()},
            messages=self._messages,
            reported=self._reported,
            started_at=self._started_at,
            phase=self._phase,
            held=self._held,
            gone=self._gone,
        )

    def _facts(self) -> Facts:
        tools = self._tools
        return Facts(
            self._pod, tools.config.node_name, tools.config.node_ip, self._ips, tools.allocatable()
        )

    def _adopt(self, containers: Iterable[Container]) -> None:
        """Take over what an earlier life of the agent left, and what only status remembers."""
        for container in containers:
            self._note(container)
        for container in recalled(self._pod, self._attempts, self._tools.clock.now()):
            self._note(container)
        attached = self._tools.network.attached().get(self.uid)
        ips = (self._pod.get("status") or {}).get("podIPs") or []
        self._ips = (attached.ip,) if attached else tuple(entry["ip"] for entry in ips)
        for name, known in self._attempts.items():
            newest = known[max(known)]
            if newest.state is not State.EXITED and name in self._containers:
                self._probe(newest)

    def _note(self, container: Container) -> None:
        """Remember what was seen. A container that has ended never comes back."""
        known = self._attempts.setdefault(container.name, {})
        before = known.get(container.attempt)
        if before is not None and before.state is State.EXITED:
            return
        known[container.attempt] = container
        if container.state is State.EXITED:
            self._ended(container)

    def _ended(self, container: Container) -> None:
        prober = self._probers.get(container.name)
        if prober is not None and prober.container_id == container.id:
            self._stop_probing(container.name)
        document = self._containers.get(container.name)
        if document is not None and (message := self._place.message(document, container)):
            self._messages[container.name, container.attempt] = message

    # -- the loop ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Look whenever woken, until the pod is gone."""
        while not self.done:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._sync()
            except Exception as error:  # noqa: BLE001  the rim: no pod's failure is its neighbours'
                _log.warning("pod %s: %r", key_of(self._pod), error)
                self._event("Warning", "FailedSync", f"error syncing pod: {error}")
                self._tools.alarm(self.uid, RETRY_S)

    async def _sync(self) -> None:
        while (plan := plan_pod(self._view())).steps:
            await self._apply(plan.steps)
            if self.done:
                return
        self._report()
        await self._refresh_volumes()
        wake_at = min(plan.wake_at or _FOREVER, self._refresh_at)
        if wake_at < _FOREVER:
            self._tools.alarm(self.uid, wake_at - self._tools.clock.now())

    async def _apply(self, steps: tuple[Step, ...]) -> None:
        kills = [step for step in steps if isinstance(step, Kill)]
        if kills:
            await self._kill_all(kills)
        for step in steps:
            if _grows(step) and (self._gone or "deletionTimestamp" in self._pod["metadata"]):
                return
            await self._one(step)

    async def _one(self, step: Step) -> None:
        match step:
            case Prepare():
                await self._prepare()
            case Start():
                await self._start(step)
            case Release():
                await self._release()
            case Finish():
                await self._finish()

    def _report(self) -> None:
        """Send the status if it says anything new."""
        status = pod_status(self._view())
        if status != self._reported and not self._gone:
            self._tell_backoffs(status)
            self._reported, self._phase = status, status["phase"]
            self._tools.writer.put(self._pod, status)

    def _tell_backoffs(self, status: Doc) -> None:
        for before, after in _pairs(self._reported, status):
            was = ((before.get("state") or {}).get("waiting") or {}).get("reason")
            now = (after["state"].get("waiting") or {}).get("reason")
            if now != was and now == "CrashLoopBackOff":
                self._event("Warning", "BackOff", f"Back-off restarting failed container "
                            f"{after['name']} in pod {key_of(self._pod)}")  # fmt: skip
            if now != was and now == "ImagePullBackOff":
                self._event("Normal", "BackOff", f'Back-off pulling image "{after["image"]}"')

    def _event(self, type_: EventType, reason: str, message: str) -> None:
        self._tools.events.event(self._pod, type_, reason, message)

    # -- preparing ---------------------------------------------------------------------------

    async def _prepare(self) -> None:
        """Network, volumes, sandbox; or a trouble that says what is in the way."""
        refusal = refused(self._pod["spec"], can_exec=isinstance(self._tools.runtime, CanExec))
        if refusal:
            reason = "FailedMount" if "spec.volumes[" in refusal else "NotSupported"
            return self._blocked(reason, refusal, _FOREVER)
        try:
            await self._attach_and_mount()
        except (ConfigMissing, VolumeFailure) as error:
            self._blocked("FailedMount", str(error), RETRY_S)
        except (RuntimeFailure, NetworkFailure, OSError) as error:
            self._blocked(
                "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}", RETRY_S
            )
        except ApiError as error:
            self._blocked("FailedMount", error.message, RETRY_S)

    def _blocked(self, reason: str, message: str, retry_s: float) -> None:
        now = self._tools.clock.now()
        if self._pod_trouble is None or self._pod_trouble.message != message:
            self._event("Warning", reason, message)
        self._pod_trouble = Trouble(reason, message, now, now + retry_s)

    async def _attach_and_mount(self) -> None:
        tools, pod = self._tools, self._pod
        netns = await self._attach()
        self._volumes = plan_volumes(self._facts(), await tools.fetcher.fetch(pod))
        self._place.prepare(pod, self._ips, tools.node_resolv_conf)
        self._place.set_up(self._volumes, self._stamp())
        if any(isinstance(volume, Payload) for volume in self._volumes):
            self._refresh_at = tools.clock.now() + VOLUME_REFRESH_S
        metadata = pod["metadata"]
        await tools.runtime.run_sandbox(
            SandboxSpec(
                id=self.uid,
                namespace=metadata["namespace"],
                name=metadata["name"],
                hostname=hostname_of(pod, tools.config.node_name),
                netns=netns,
                labels=pod_labels(pod),
            )
        )
        self._sandbox, self._pod_trouble = True, None

    async def _attach(self) -> str:
        """The path of the pod's network namespace; its addresses are known after."""
        config = self._tools.config
        self._held = True
        if self._pod["spec"].get("hostNetwork"):
            self._ips = (config.node_ip,)
            return config.host_netns
        place = await self._tools.network.attach(self.uid)
        self._ips = (place.ip,)
        return place.netns

    def _stamp(self) -> str:
        """A name for one version of the pod's files; never one that an earlier life used."""
        self._version += 1
        return f"{self._tools.clock.now():.6f}.{self._version}"

    async def _refresh_volumes(self) -> None:
        """Write what changed in ConfigMaps and Secrets; what is missing now stays as it was."""
        now = self._tools.clock.now()
        if now < self._refresh_at or not self._sandbox:
            return
        self._refresh_at = now + VOLUME_REFRESH_S
        try:
            new = plan_volumes(self._facts(), await self._tools.fetcher.fetch(self._pod))
            changed = stale(self._volumes, new)
            self._place.set_up(changed, self._stamp())
        except (ConfigMissing, VolumeFailure, ApiError) as error:
            self._event("Warning", "FailedMount", str(error))
            return
        self._volumes = new

    # -- starting ----------------------------------------------------------------------------

    async def _start(self, step: Start) -> None:
        container = self._containers[step.name]
        image = await self._image(container)
        if image is None:
            return
        try:
            async with self._tools.starts:
                started = await self._start_from(container, image, step.attempt)
        except (ConfigMissing, VolumeFailure, ApiError, OSError) as error:
            return self._trouble(container, "CreateContainerConfigError", str(error), RETRY_S)
        except ImageMissing as error:
            return self._pull_failed(container, str(error))
        except StartFailed as error:
            started = self._never_ran(container, image, step.attempt, error)
        self._troubles.pop(step.name, None)
        self._back_off(step)
        self._note(started)
        if started.state is not State.EXITED:
            self._event("Normal", "Created", f"Created container: {step.name}")
            self._event("Normal", "Started", f"Started container {step.name}")
            self._probe(started)
            await self._post_start(container, started)
        await self._forget_old(step.name)

    async def _start_from(self, container: Doc, image: Image, attempt: int) -> Container:
        sources = await self._tools.fetcher.fetch(self._pod)
        facts, name = self._facts(), container["name"]
        env = container_env(container, facts, sources)
        mounts = self._place.mounts(container, attempt, env)
        place = Place(attempt, self._place.new_log(name, attempt), mounts)
        spec = container_spec(container, facts, sources, image, place)
        return await self._tools.runtime.start_container(self.uid, spec)

    def _never_ran(self, container: Doc, image: Image, attempt: int, why: Exception) -> Container:
        """A start that failed counts as a container that ended at once, as upstream has it."""
        self._event("Warning", "Failed", f"Error: {why}")
        self._messages[container["name"], attempt] = str(why)
        now = self._tools.clock.now()
        return Container(
            id="", sandbox=self.uid, name=container["name"], attempt=attempt,
            image=container["image"], image_id=image.id, state=State.EXITED, started_at=now,
            finished_at=now, exit_code=START_ERROR_EXIT_CODE, reason="StartError",
        )  # fmt: skip

    def _back_off(self, step: Start) -> None:
        known = self._attempts.get(step.name)
        if known:
            ended, old = known[max(known)], self._backoffs.get(step.name)
            now = self._tools.clock.now()
            self._backoffs[step.name] = next_backoff(old, ended.finished_at, now)

    async def _forget_old(self, name: str) -> None:
        """Keep the newest attempt and the one before, for `kubectl logs --previous`."""
        known = self._attempts[name]
        for attempt in sorted(known)[:-2]:
            old = known.pop(attempt)
            self._messages.pop((name, attempt), None)
            self._place.forget(name, attempt)
            if old.id:
                await self._tools.runtime.remove_container(old.id)

    def _trouble(self, container: Doc, reason: str, message: str, retry_s: float) -> None:
        now, name = self._tools.clock.now(), container["name"]
        before = self._troubles.get(name)
        if before is None or before.message != message:
            self._event("Warning", "Failed", f"Error: {message}")
        self._troubles[name] = Trouble(reason, message, now, now + retry_s)

    # -- images ------------------------------------------------------------------------------

    async def _image(self, container: Doc) -> Image | None:
        """The container's image by its pull policy; None if it cannot be had now."""
        reference, policy = container["image"], pull_policy(container)
        if policy != "Always":
            image = await self._tools.runtime.image(reference)
            if image is not None:
                message = f'Container image "{reference}" already present on machine'
                self._event("Normal", "Pulled", message)
                return image
        if policy == "Never":
            message = f'Container image "{reference}" is not present with pull policy of Never'
            self._trouble(container, "ErrImageNeverPull", message, RETRY_S)
            return None
        return await self._pull(container)

    async def _pull(self, container: Doc) -> Image | None:
        """Fetch it; a pod that is to end does not wait for its images."""
        reference, began = container["image"], self._tools.clock.now()
        self._event("Normal", "Pulling", f'Pulling image "{reference}"')
        self._report()
        pull = self._tools.puller.pull(reference)
        await asyncio.wait((pull, self._ending), return_when=asyncio.FIRST_COMPLETED)
        if not pull.done():
            return None
        image = pull.result()
        if isinstance(image, Exception):
            self._pull_failed(container, str(image))
            return None
        self._pulls.pop(container["name"], None)
        took = self._tools.clock.now() - began
        self._event("Normal", "Pulled", f'Successfully pulled image "{reference}" in {took:.3f}s. '
                    f"Image size: {image.size} bytes.")  # fmt: skip
        return image

    def _pull_failed(self, container: Doc, why: str) -> None:
        now, name = self._tools.clock.now(), container["name"]
        self._pulls[name] = backoff = next_backoff(self._pulls.get(name), now, now)
        message = f'failed to pull image "{container["image"]}": {why}'
        self._event("Warning", "Failed", f'Failed to pull image "{container["image"]}": {why}')
        self._trouble(container, "ErrImagePull", message, backoff.delay_s)

    # -- probes and hooks --------------------------------------------------------------------

    def _probe(self, container: Container) -> None:
        self._stop_probing(container.name)
        document = self._containers[container.name]
        prober = Prober(
            self._target(document, container),
            self._tools.checker,
            self._tools.clock,
            self.poke,
            lambda sentence: self._event("Warning", "Unhealthy", sentence),
        )
        if not prober.idle:
            self._probers[container.name] = prober
            prober.task = self._tools.crew.create_task(
                prober.run(), name=f"probe {key_of(self._pod)}/{container.name}"
            )

    def _target(self, document: Doc, container: Container) -> Target:
        return Target(document, container.id, self._ips[0] if self._ips else "")

    def _stop_probing(self, name: str) -> None:
        prober = self._probers.pop(name, None)
        if prober is not None and prober.task is not None:
            prober.task.cancel()

    async def _post_start(self, document: Doc, container: Container) -> None:
        hook = (document.get("lifecycle") or {}).get("postStart")
        if hook and not await self._hook("PostStart", hook, document, container, _FOREVER):
            await self._tools.runtime.stop_container(container.id, _GRACE_MIN_S)
            await self._look()

    async def _hook(
        self, name: str, hook: Doc, document: Doc, container: Container, within_s: float
    ) -> bool:
        if "sleep" in hook:
            await self._tools.clock.sleep(min(float(hook["sleep"]["seconds"]), within_s))
            return True
        timeout_s = min(within_s, 2.0 * 60)
        outcome = await self._tools.checker.check(
            hook, self._target(document, container), timeout_s
        )
        if not outcome.good:
            self._event("Warning", f"Failed{name}Hook", f"{name}Hook failed: {outcome.message}")
        return outcome.good

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
                self._event("Warning", "FailedKillPod", f"error killing pod: {error}")
                raise error
            self._mark_ended(kill)

    async def _kill(self, kill: Kill) -> RuntimeFailure | None:
        """The failure as a value: a failed task would end its siblings."""
        self._stop_probing(kill.name)
        self._event("Normal", "Killing", kill.message)
        document, container = self._containers.get(kill.name), self._view().containers[kill.name]
        began, hook = self._tools.clock.now(), None
        if document is not None:
            hook = (document.get("lifecycle") or {}).get("preStop")
        if hook and document is not None:
            await self._hook("PreStop", hook, document, container, kill.grace_s)
        left = max(
            kill.grace_s - (self._tools.clock.now() - began), min(kill.grace_s, _GRACE_MIN_S)
        )
        try:
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
        for container in list(self._attempts[kill.name].values()):
            if container.id == kill.container_id and container.state is not State.EXITED:
                now = self._tools.clock.now()
                self._note(replace(container, state=State.EXITED, finished_at=now, exit_code=137))

    async def _release(self) -> None:
        self._refresh_at = _FOREVER
        await asyncio.to_thread(self._place.release)
        await self._tools.network.detach(self.uid)
        self._held = self._sandbox = False

    async def _finish(self) -> None:
        tools = self._tools
        for name in list(self._probers):
            self._stop_probing(name)
        status = pod_status(self._view())
        await tools.runtime.remove_sandbox(self.uid)
        await asyncio.to_thread(self._place.remove)
        await tools.network.detach(self.uid)
        if not self._gone:
            assert status["phase"] in TERMINAL_PHASES, f"{key_of(self._pod)}: {status['phase']}"
            await tools.writer.finish(self._pod, status)
        self.done = True


def _grows(step: Step) -> bool:
    return isinstance(step, Prepare | Start)


def _pairs(before: Doc, after: Doc) -> Iterable[tuple[Doc, Doc]]:
    """Container statuses of two pod statuses, matched by name."""
    for kind in ("initContainerStatuses", "containerStatuses"):
        old = {status["name"]: status for status in before.get(kind) or []}
        for status in after.get(kind) or []:
            yield old.get(status["name"], {}), status
