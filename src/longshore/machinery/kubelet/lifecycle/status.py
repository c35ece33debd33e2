"""Build a pod's status from what is seen. Pure: PodView in, PodStatus document out.

The words are upstream's (pkg/kubelet/kubelet_pods.go, pkg/kubelet/status/generate.go): people
and programs match on them.
"""

from __future__ import annotations

from longshore.base.clock import rfc3339
from longshore.base.durations import duration
from longshore.core.objects.kinds import Doc
from longshore.core.objects.resizing import IN_PROGRESS, PENDING
from longshore.machinery.kubelet.config import IMAGE_ERROR_SHOWN_S, RECONCILE_S
from longshore.machinery.kubelet.lifecycle.allotment import WHOLE, conditions
from longshore.machinery.kubelet.lifecycle.container_details import details, image_id
from longshore.machinery.kubelet.lifecycle.model import (
    TERMINAL_PHASES,
    PodView,
    Trouble,
    ephemeral_containers,
    full_name,
    init_containers,
    is_sidecar,
    main_containers,
)
from longshore.machinery.kubelet.lifecycle.plan import (
    anything_runs,
    ending,
    init_policy,
    initialized,
    restart_at,
    restart_policy,
    returns,
)
from longshore.machinery.kubelet.lifecycle.qos import qos_class
from longshore.machinery.kubelet.lifecycle.restarting import (
    all_may_restart,
    all_restart,
    this_round,
)
from longshore.machinery.loop.alarms import HAIR_S
from longshore.machinery.runtime.protocol import Container, State

_RANK = {"Pending": 0, "Running": 1, "Succeeded": 2, "Failed": 2}
# Conditions that this agent writes; all others are kept as they are.
_OWN = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
_PASSING = (PENDING, IN_PROGRESS)
_ALL_RESTARTING = "AllContainersRestarting"
_NEVER = Container("", "", "", 0, "", "", State.CREATED)


def doubted(since: float | None, pod: Doc, reported: Doc, now: float) -> float | None:
    """Since when (None: it is not) the API server has another readiness of the pod than its agent
    reported: a node that was taken for lost comes back to pods that are marked as not ready."""
    if not reported or _readiness(pod.get("status") or {}) == _readiness(reported):
        return None
    return now if since is None else since


def is_certain(since: float | None, now: float) -> bool:
    """Whether a doubt has stood long enough. Alarms ring a hair early."""
    return since is not None and now - since >= RECONCILE_S - HAIR_S


def _readiness(status: Doc) -> str:
    for one in status.get("conditions") or ():
        if one["type"] == "Ready":
            return str(one["status"])
    return ""


def pod_status(view: PodView) -> Doc:
    """The whole status of the pod. Fields that must go are null, as a merge patch wants them."""
    view = this_round(view)
    if is_rejected(view):
        return _rejection(view)
    phase = phase_of(view)
    reason, message = _why(view, phase)
    inits = [_container_status(view, c, True) for c in init_containers(view.spec)]
    mains = [_container_status(view, c, False) for c in main_containers(view.spec)]
    status: Doc = {
        "phase": phase,
        "conditions": _conditions(view, phase, inits, mains),
        "hostIP": view.host_ip,
        "hostIPs": [{"ip": view.host_ip}],
        "startTime": rfc3339(view.started_at),
        "qosClass": _old(view).get("qosClass") or qos_class(view.spec),
        "containerStatuses": mains,
        "reason": reason or None,
        "message": message or None,
    }
    ephemeral = [_ephemeral_status(view, c) for c in ephemeral_containers(view.spec)]
    if ephemeral:
        status["ephemeralContainerStatuses"] = ephemeral
    if inits:
        status["initContainerStatuses"] = inits
    if view.ips:
        status |= {"podIP": view.ips[0], "podIPs": [{"ip": ip} for ip in view.ips]}
    if whole := view.spec.get("resources"):
        status |= _has(whole, view.actual.get(WHOLE))
    if "generation" in view.doc["metadata"]:
        status["observedGeneration"] = view.doc["metadata"]["generation"]
    return status


def is_rejected(view: PodView) -> bool:
    """Whether the node never took the pod; an earlier life of the agent may have said so."""
    if not view.admitted:
        return view.verdict is not None
    ended = view.phase == "Failed" and not view.containers
    return ended and "containerStatuses" not in (view.reported or _old(view))


def _rejection(view: PodView) -> Doc:
    """All that is told of a pod that the node did not take (pkg/kubelet: rejectPod)."""
    old = view.reported or _old(view)
    reason, message = old.get("reason"), old.get("message")
    if view.verdict is not None:
        reason, message = view.verdict.reason, view.verdict.message
    status = {
        "phase": "Failed",
        "reason": reason,
        "message": message,
        "startTime": rfc3339(view.started_at),
        "qosClass": _old(view).get("qosClass") or qos_class(view.spec),
    }
    if "generation" in view.doc["metadata"]:
        status["observedGeneration"] = view.doc["metadata"]["generation"]
    return status


def phase_of(view: PodView) -> str:
    """The phase. It only goes forward: Pending, Running, then Succeeded or Failed for good."""
    view = this_round(view)
    seen = _phase_seen(view)
    return view.phase if _RANK[seen] < _RANK[view.phase] or _ended(view.phase) else seen


def _ended(phase: str) -> bool:
    return phase in TERMINAL_PHASES


def _phase_seen(view: PodView) -> str:
    if anything_runs(view):
        return _phase_alive(view)
    if view.deleting:
        return _phase_deleted(view)
    end = ending(view)
    return end.phase if end is not None else _phase_alive(view)


def _phase_alive(view: PodView) -> str:
    begun = all(c["name"] in view.containers for c in main_containers(view.spec))
    return "Running" if begun and initialized(view) else "Pending"


def _phase_deleted(view: PodView) -> str:
    seen = [view.containers.get(c["name"]) for c in main_containers(view.spec)]
    good = all(c is not None and c.exit_code == 0 for c in seen)
    return "Succeeded" if good else "Failed"


def _why(view: PodView, phase: str) -> tuple[str, str]:
    old = view.reported or _old(view)
    if _ended(view.phase):
        return old.get("reason") or "", old.get("message") or ""
    end = None if view.deleting else ending(view)
    if end is not None and _ended(phase):
        return end.reason, end.message
    return "", view.pod_trouble.message if view.pod_trouble is not None else ""


def _old(view: PodView) -> Doc:
    status: Doc = view.doc.get("status") or {}
    return status


# -- conditions ----------------------------------------------------------------------------


def _conditions(view: PodView, phase: str, inits: list[Doc], mains: list[Doc]) -> list[Doc]:
    old = _known_conditions(view)
    containers_ready = _containers_ready(view, phase, inits, mains)
    wanted: list[Doc] = [
        _condition("PodReadyToStartContainers", view.sandbox and not _ended(phase)),
        _initialized(view, phase, inits),
        _gated(view, containers_ready, old),
        containers_ready,
        _condition("PodScheduled", True),
    ]
    if view.verdict is not None and view.verdict.disrupts:
        words = ("TerminationByKubelet", view.verdict.message)
        wanted.append(_condition("DisruptionTarget", True, *words))
    if (generation := view.doc["metadata"].get("generation")) is not None:
        wanted = [{**c, "observedGeneration": generation} for c in wanted]
    if all_may_restart(view.spec):
        wanted.append(_all_restarting(view, phase))
    wanted += conditions(view.resizing)
    stamped = [_stamp(c, old.get(c["type"]), view.now) for c in wanted]
    said = {*(c["type"] for c in wanted), *_PASSING}
    return stamped + [c for name, c in old.items() if name not in said]


def _all_restarting(view: PodView, phase: str) -> Doc:
    """(pkg/kubelet/status: GenerateAllContainersRestartingCondition)"""
    if _ended(phase):
        return _condition(
            _ALL_RESTARTING, False, "PodCompleted" if phase == "Succeeded" else "PodFailed"
        )
    if not all_restart(view):
        return _condition(_ALL_RESTARTING, False)
    why = "container exited with restart policy rule"
    return _condition(_ALL_RESTARTING, True, "RestartAllContainersStarted", why)


def _known_conditions(view: PodView) -> dict[str, Doc]:
    """The pod's conditions before this: ours as last sent, those of others as the pod has them."""
    known = {c["type"]: c for c in _old(view).get("conditions") or []}
    sent = view.reported.get("conditions") or []
    own = (*_OWN, *_PASSING, _ALL_RESTARTING, "DisruptionTarget")
    return known | {c["type"]: c for c in sent if c["type"] in own}


def _condition(type_: str, true: bool, reason: str = "", message: str = "") -> Doc:
    condition: Doc = {"type": type_, "status": "True" if true else "False"}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _stamp(new: Doc, old: Doc | None, now: float) -> Doc:
    """lastTransitionTime moves only when the status does."""
    same = old is not None and old.get("status") == new["status"]
    kept = old.get("lastTransitionTime") if old is not None and same else None
    return {**new, "lastProbeTime": None, "lastTransitionTime": kept or rfc3339(now)}


def _initialized(view: PodView, phase: str, inits: list[Doc]) -> Doc:
    if phase == "Succeeded" or initialized(view):
        return _condition("Initialized", True, "PodCompleted" if phase == "Succeeded" else "")
    waiting = " ".join(c["name"] for c in inits if not c["ready"])
    return _condition("Initialized", False, "ContainersNotInitialized",
                      f"containers with incomplete status: [{waiting}]")  # fmt: skip


def _containers_ready(view: PodView, phase: str, inits: list[Doc], mains: list[Doc]) -> Doc:
    if _ended(phase):
        reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
        return _condition("ContainersReady", False, reason)
    sidecars = {c["name"] for c in init_containers(view.spec) if is_sidecar(c)}
    counted = [c for c in inits if c["name"] in sidecars] + mains
    unready = [c["name"] for c in counted if not c["ready"]]
    if not unready:
        return _condition("ContainersReady", True)
    return _condition("ContainersReady", False, "ContainersNotReady",
                      f"containers with unready status: [{' '.join(unready)}]")  # fmt: skip


def _gated(view: PodView, containers_ready: Doc, old: dict[str, Doc]) -> Doc:
    """Ready is ContainersReady and every readiness gate."""
    ready = {**containers_ready, "type": "Ready"}
    if containers_ready["status"] == "False":
        return ready
    for gate in view.spec.get("readinessGates") or []:
        name = gate["conditionType"]
        if old.get(name, {}).get("status") != "True":
            return _condition("Ready", False, "ReadinessGatesNotReady",
                              f'the status of pod readiness gate "{name}" is not "True", '
                              f"but {old.get(name, {}).get('status', 'False')}")  # fmt: skip
    return ready


# -- containers ----------------------------------------------------------------------------


def _container_status(view: PodView, container: Doc, init: bool) -> Doc:
    name = container["name"]
    newest, before = view.containers.get(name), view.previous.get(name)
    last_round = view.past.get(name)
    before = before if last_round is None else last_round
    state, last = _states(view, container, init, newest, before)
    health, runs = view.healthy(name), "running" in state
    done = init and not is_sidecar(container)
    status: Doc = {
        "name": name,
        "image": container["image"],
        "imageID": image_id(newest) if newest is not None else "",
        "restartCount": (newest or last_round or _NEVER).attempt,
        "state": state,
        "lastState": last,
        "started": runs and health.started,
        "ready": (newest is not None and _succeeded(newest)) if done else runs and health.ready,
    }
    if newest is None:
        return status
    if newest.id:
        status["containerID"] = container_id(view, newest)
        status |= details(container, newest)
    return status | _has(container.get("resources") or {}, view.actual.get(name))


def _has(given: Doc, actual: Doc | None) -> Doc:
    """What was set aside for a container, and what it runs with (actual, if that is something else)."""
    has = given if actual is None else actual
    told: Doc = {"resources": {side: has[side] for side in ("limits", "requests") if has.get(side)}}
    if given.get("requests"):
        told["allocatedResources"] = given["requests"]
    return told


def _ephemeral_status(view: PodView, container: Doc) -> Doc:
    """It has no probes, is never ready, and what has ended stays as it ended."""
    status = _container_status(view, container, False) | {"ready": False}
    newest = view.containers.get(container["name"])
    if newest is not None and newest.state is State.EXITED:
        status |= {"state": _terminated(view, newest), "lastState": {}}
    return status


def container_id(view: PodView, container: Container) -> str:
    return f"{view.runtime}://{container.id}"


def _succeeded(container: Container) -> bool:
    return container.state is State.EXITED and container.exit_code == 0


def _states(
    view: PodView, container: Doc, init: bool, newest: Container | None, before: Container | None
) -> tuple[Doc, Doc]:
    """(state, lastState): a container that waits to be restarted shows its end as lastState."""
    last: Doc = {} if before is None else _terminated(view, before)
    if newest is None:
        return {"waiting": _waiting(view, container, init)}, last
    if newest.state is not State.EXITED:
        return {"running": {"startedAt": rfc3339(newest.started_at)}}, last
    ended = _terminated(view, newest)
    waiting = _waiting_again(view, container, init, newest)
    return (ended, last) if waiting is None else ({"waiting": waiting}, ended)


def _terminated(view: PodView, container: Container) -> Doc:
    ended: Doc = {
        "exitCode": container.exit_code,
        "reason": container.reason or ("Error" if container.exit_code else "Completed"),
        "startedAt": rfc3339(container.started_at or container.finished_at),
        "finishedAt": rfc3339(container.finished_at),
    }
    if container.id:
        ended["containerID"] = container_id(view, container)
    if message := view.messages.get((container.name, container.attempt)):
        ended["message"] = message
    return {"terminated": ended}


def _waiting(view: PodView, container: Doc, init: bool) -> Doc:
    """Why a container that never ran does not run."""
    if (trouble := view.troubles.get(container["name"])) is not None:
        return _trouble(view, container, trouble)
    if not init and not initialized(view):
        return {"reason": "PodInitializing"}
    return {"reason": "PodInitializing" if init and view.containers else "ContainerCreating"}


def _trouble(view: PodView, container: Doc, trouble: Trouble) -> Doc:
    """ErrImagePull turns into ImagePullBackOff while the next try is waited for."""
    if trouble.reason == "ErrImagePull" and view.now >= trouble.since + IMAGE_ERROR_SHOWN_S:
        image = trouble.image or container["image"]
        message = f'Back-off pulling image "{image}": ErrImagePull: {trouble.message}'
        return {"reason": "ImagePullBackOff", "message": message}
    return {"reason": trouble.reason, "message": trouble.message}


def _waiting_again(view: PodView, container: Doc, init: bool, ended: Container) -> Doc | None:
    """Why a container that ended waits to be started again; None if it stays as it ended."""
    if view.deleting or ending(view) is not None or not _comes_back(view, container, init, ended):
        return None
    if (trouble := view.troubles.get(ended.name)) is not None:
        return _trouble(view, container, trouble)
    if restart_at(view, ended.name) <= view.now:
        return None
    delay = duration(int(view.backoffs[ended.name].delay_s))
    message = f"back-off {delay} restarting failed container={ended.name} pod={full_name(view.doc)}"
    return {"reason": "CrashLoopBackOff", "message": message}


def _comes_back(view: PodView, container: Doc, init: bool, ended: Container) -> bool:
    policy = init_policy(view.spec) if init else restart_policy(view.spec)
    if init and not is_sidecar(container) and ended.exit_code == 0:
        return False
    return returns(view, container, policy, ended)
