"""Decide what one pod needs next. Pure: PodView in, frozen PodPlan out; worker.py carries it out.

The life of a pod goes one way: prepare (network, volumes, sandbox), init containers in order,
the containers themselves, then an ending. Rules follow pkg/kubelet/kuberuntime:
computePodActions for what starts, doBackOff for when, and pkg/kubelet/kubelet_pods.go for phases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import (
    BACKOFF_FIRST_S,
    BACKOFF_MAX_S,
    BACKOFF_RESET_S,
    FORCED_GRACE_S,
    IMAGE_ERROR_SHOWN_S,
)
from longshore.machinery.kubelet.lifecycle.allotment import WHOLE, restarts
from longshore.machinery.kubelet.lifecycle.model import (
    TERMINAL_PHASES,
    Backoff,
    PodView,
    Trouble,
    ephemeral_containers,
    init_containers,
    is_sidecar,
    main_containers,
)
from longshore.machinery.kubelet.lifecycle.restarting import all_restart, comes_back, this_round
from longshore.machinery.runtime.protocol import Container, State


@dataclass(frozen=True, slots=True)
class Admit:
    """Ask whether the node takes the pod at all."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Attach the network, fill the volumes, run the sandbox."""


@dataclass(frozen=True, slots=True)
class Start:
    """See that the image is there, then create and start this attempt of the container."""

    name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop a running container. Kills that stand side by side are carried out together."""

    name: str
    container_id: str
    grace_s: float
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Resize:
    """Give running containers the resources that were set aside for them."""


@dataclass(frozen=True, slots=True)
class Reset:
    """All containers start anew, from the first init container on: what they did so far does not count."""


@dataclass(frozen=True, slots=True)
class Release:
    """The pod has ended but stays on record: give back its address and unmount its volumes."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Remove everything, report the last status, and let the API server forget the pod."""


Step: TypeAlias = Admit | Prepare | Start | Kill | Resize | Reset | Release | Finish


@dataclass(frozen=True, slots=True)
class PodPlan:
    """Steps to take now, in order; then look again at wake_at (None: when something changes)."""

    steps: tuple[Step, ...] = ()
    wake_at: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """The pod's containers are not to run any more, and why."""

    phase: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Wait:
    until: float


_Want: TypeAlias = Start | Kill | Resize | _Wait | None


def plan_pod(view: PodView) -> PodPlan:
    """What to do next for this pod."""
    view = this_round(view)
    if view.deleting:
        return PodPlan(_kills(view, "Stopping container") or (Finish(),))
    if ending(view) is not None:
        kills = _kills(view, "Stopping container")
        return PodPlan(kills or ((Release(),) if view.held else ()))
    if not view.admitted:
        return PodPlan((Admit(),))
    if not view.sandbox:
        return _prepare(view)
    if all_restart(view):
        return PodPlan(_kill_all(view) or (Reset(),))
    wants = _wants(view)
    steps = tuple(dict.fromkeys(want for want in wants if isinstance(want, Start | Kill | Resize)))
    return PodPlan(steps, None if steps else _earliest(view, wants))


def _prepare(view: PodView) -> PodPlan:
    trouble = view.pod_trouble
    if trouble is not None and _stands(trouble, view.now):
        return PodPlan((), _earliest(view, [_Wait(trouble.retry_at)]))
    return PodPlan((Prepare(),))


def _earliest(view: PodView, wants: list[_Want]) -> float | None:
    moments = [want.until for want in wants if isinstance(want, _Wait)]
    for trouble in view.troubles.values():
        if trouble.since + IMAGE_ERROR_SHOWN_S > view.now:
            moments.append(trouble.since + IMAGE_ERROR_SHOWN_S)
    if (deadline := deadline_of(view)) is not None:
        moments.append(deadline)
    return min(moments, default=None)


# -- what should start ---------------------------------------------------------------------


def _wants(view: PodView) -> list[_Want]:
    wants, ready = _init_wants(view)
    wants += [want(view, c, "Never") for c in ephemeral_containers(view.spec)]
    if ready:
        policy = restart_policy(view.spec)
        wants += [want(view, c, policy) for c in main_containers(view.spec)]
    if WHOLE in view.actual:
        wants.append(_resize_now(view))
    return wants


def _init_wants(view: PodView) -> tuple[list[_Want], bool]:
    """What init containers need, and whether the main containers may run."""
    wants: list[_Want] = []
    begun = main_begun(view)
    for container in init_containers(view.spec):
        name = container["name"]
        if is_sidecar(container):
            wants.append(want(view, container, "Always"))
        elif not begun and not _done(view, name):
            wants.append(want(view, container, init_policy(view.spec)))
        if not begun and not _passed(view, container):
            return wants, False
    return wants, True


def want(view: PodView, container: Doc, of_pod: str) -> _Want:
    """What one container needs; of_pod is the restart policy that holds where it has none."""
    name = container["name"]
    newest = view.containers.get(name)
    if newest is not None and newest.state is not State.EXITED:
        return _unhealthy(view, newest) or _resize(view, container, newest)
    if newest is not None and not returns(view, container, of_pod, newest):
        return None
    wait_until = max(_trouble_until(view, name), restart_at(view, name))
    if wait_until > view.now:
        return _Wait(wait_until)
    last = newest or view.past.get(name)
    return Start(name, 0 if last is None else last.attempt + 1)


def _unhealthy(view: PodView, container: Container) -> Kill | None:
    """A failed probe's own grace period goes before the pod's (kuberuntime: killContainer)."""
    health = view.healthy(container.name)
    if not health.failed:
        return None
    grace = grace_s(view) if health.grace_s is None else float(health.grace_s)
    return Kill(container.name, container.id, grace, "Unhealthy", health.failed)


def _resize(view: PodView, container: Doc, running: Container) -> _Want:
    """A container that runs with other resources than it was given: it gets them as it runs, or starts
    anew, as it says (computePodResizeAction)."""
    before = view.actual.get(running.name)
    if before is None:
        return None
    if restarts(container, before):
        message = f"Container {running.name} resize requires restart"
        return Kill(running.name, running.id, grace_s(view), "Killing", message)
    return _resize_now(view)


def _resize_now(view: PodView) -> _Want:
    retry_at = view.resizing.retry_at
    return _Wait(retry_at) if retry_at > view.now else Resize()


def returns(view: PodView, container: Doc, of_pod: str, ended: Container) -> bool:
    """Whether an ended container is started again; one that was stopped to have other resources is,
    however it took that."""
    return ended.name in view.actual or comes_back(container, of_pod, ended.exit_code)


def restart_policy(spec: Doc) -> str:
    policy: str = spec.get("restartPolicy", "Always")
    return policy


def init_policy(spec: Doc) -> str:
    """An init container that succeeded is done, whatever the pod's policy."""
    return "Never" if restart_policy(spec) == "Never" else "OnFailure"


def _trouble_until(view: PodView, name: str) -> float:
    trouble = view.troubles.get(name)
    return trouble.retry_at if trouble is not None and _stands(trouble, view.now) else 0.0


def _stands(trouble: Trouble, now: float) -> bool:
    """Whether it is too early to try again. Nobody waits for hours because the clock was put back."""
    return trouble.since <= now < trouble.retry_at


def main_begun(view: PodView) -> bool:
    """Whether a main container was ever started: init containers never run again then."""
    return any(c["name"] in view.containers for c in main_containers(view.spec))


def initialized(view: PodView) -> bool:
    """Whether every init container has done its part."""
    return main_begun(view) or all(_passed(view, c) for c in init_containers(view.spec))


def _passed(view: PodView, container: Doc) -> bool:
    name = container["name"]
    if is_sidecar(container):
        return view.running(name) and view.healthy(name).started
    return _done(view, name)


def _done(view: PodView, name: str) -> bool:
    newest = view.containers.get(name)
    return newest is not None and newest.state is State.EXITED and newest.exit_code == 0


# -- back-off ------------------------------------------------------------------------------


def restart_at(view: PodView, name: str) -> float:
    """The moment from which an ended container may start again; 0 if at once."""
    newest, backoff = view.containers.get(name) or view.past.get(name), view.backoffs.get(name)
    if newest is None or backoff is None or _forgotten(backoff, newest.finished_at):
        return 0.0
    if newest.finished_at > view.now:  # the clock was put back
        return 0.0
    return newest.finished_at + backoff.delay_s


def next_backoff(old: Backoff | None, finished_at: float, now: float) -> Backoff:
    """The back-off after one more restart: 10 s, doubling up to 5 min."""
    if old is None or _forgotten(old, finished_at):
        return Backoff(BACKOFF_FIRST_S, now)
    return Backoff(min(old.delay_s * 2, BACKOFF_MAX_S), now)


def _forgotten(backoff: Backoff, finished_at: float) -> bool:
    return finished_at - backoff.at > BACKOFF_RESET_S


# -- endings -------------------------------------------------------------------------------


def ending(view: PodView) -> Ending | None:
    """Why this pod is to end, if it is; it has ended once none of its containers runs."""
    if view.phase in TERMINAL_PHASES:
        return Ending(view.phase)
    if view.verdict is not None:
        return Ending("Failed", view.verdict.reason, view.verdict.message)
    deadline = deadline_of(view)
    if deadline is not None and deadline <= view.now:
        return Ending("Failed", "DeadlineExceeded",
                      "Pod was active on the node longer than the specified deadline")  # fmt: skip
    if _init_failed(view):
        return Ending("Failed")
    return _main_ended(view)


def deadline_of(view: PodView) -> float | None:
    seconds = view.spec.get("activeDeadlineSeconds")
    return None if seconds is None or not view.started_at else view.started_at + seconds


def _init_failed(view: PodView) -> bool:
    if main_begun(view):
        return False
    policy = init_policy(view.spec)
    return any(
        (seen := view.containers.get(c["name"])) is not None
        and seen.state is State.EXITED
        and seen.exit_code != 0
        and not comes_back(c, policy, seen.exit_code)
        for c in init_containers(view.spec)
        if not is_sidecar(c)
    )


def _main_ended(view: PodView) -> Ending | None:
    policy, mains = restart_policy(view.spec), main_containers(view.spec)
    ended = [c for m in mains if (c := view.containers.get(m["name"])) and c.state is State.EXITED]
    if len(ended) < len(mains):
        return None
    if any(returns(view, m, policy, c) for m, c in zip(mains, ended, strict=True)):
        return None
    return Ending("Failed" if any(c.exit_code for c in ended) else "Succeeded")


def anything_runs(view: PodView) -> bool:
    return any(c.state is not State.EXITED for c in view.containers.values())


def grace_s(view: PodView) -> float:
    """How long a container has between its stop signal and SIGKILL. A pod deleted by force still
    gets the signal, and a moment (kuberuntime: minimumGracePeriodInSeconds)."""
    given = view.doc["metadata"].get("deletionGracePeriodSeconds") if view.deleting else None
    if given is None:
        given = view.spec.get("terminationGracePeriodSeconds", 30)
    if view.verdict is not None and view.verdict.grace_s is not None:
        given = min(int(given), view.verdict.grace_s)
    if view.gone:
        given = min(int(given), FORCED_GRACE_S)
    return float(max(int(given), 1))


def _kill_all(view: PodView) -> tuple[Kill, ...]:
    """All that run, at once: their end is not the pod's, which loses nothing but their memory."""
    lasting = {c["name"] for c in (*init_containers(view.spec), *main_containers(view.spec))}
    return tuple(
        Kill(
            name,
            view.containers[name].id,
            float(FORCED_GRACE_S),
            "Killing",
            f"Stopping container {name}",
        )
        for name in view.containers
        if name in lasting and view.running(name)
    )


def _kills(view: PodView, why: str) -> tuple[Kill, ...]:
    """Main and plain init containers together; then sidecars, last started first, one by one."""
    sidecars = [c["name"] for c in init_containers(view.spec) if is_sidecar(c)]
    running = [name for name in view.containers if view.running(name)]
    first = [name for name in running if name not in sidecars]
    chosen = first or [name for name in reversed(sidecars) if name in running][:1]
    return tuple(
        Kill(name, view.containers[name].id, grace_s(view), "Killing", f"{why} {name}")
        for name in chosen
    )
