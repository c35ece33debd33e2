"""Which containers that ended are started again. Pure.

A container's own policy goes before its pod's, and its rules before both (KEP-5307, KEP-5532;
pkg/api/v1/pod: ContainerShouldRestart, FindMatchingContainerRestartRule).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import PodView, init_containers, main_containers
from longshore.machinery.runtime.protocol import Container, State

RESTART = "Restart"
RESTART_ALL = "RestartAllContainers"


def comes_back(container: Doc, of_pod: str, exit_code: int) -> bool:
    """Whether a container is started again; of_pod is the policy that holds where it has none."""
    if action_of(container, exit_code) in (RESTART, RESTART_ALL):
        return True
    policy = container.get("restartPolicy") or of_pod
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def action_of(container: Doc, exit_code: int) -> str:
    """What the first rule says that fits; "" if none does. Rules count only beside a policy."""
    if not container.get("restartPolicy"):
        return ""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        listed = exit_code in (codes.get("values") or ())
        if listed == (codes.get("operator") == "In"):
            return str(rule["action"])
    return ""


# -- all of them together ------------------------------------------------------------------


def all_may_restart(spec: Doc) -> bool:
    """Whether the end of some container can start all of them anew."""
    return any(
        rule.get("action") == RESTART_ALL
        for container in _lasting(spec)
        for rule in container.get("restartPolicyRules") or ()
    )


def all_restart(view: PodView) -> bool:
    """Whether a container has ended in a way that all are to start anew, and that was not done yet."""
    for container in _lasting(view.spec):
        if not container.get("restartPolicyRules"):
            continue
        seen = view.containers.get(container["name"])
        ended = seen is not None and seen.state is State.EXITED
        if seen is not None and ended and action_of(container, seen.exit_code) == RESTART_ALL:
            return True
    return False


def this_round(view: PodView) -> PodView:
    """The pod without what its containers did before all were told to start anew: init containers run
    again, in the same sandbox, and attempts are counted on."""
    if not view.floors:
        return view
    counted: dict[str, Container] = {}
    past: dict[str, Container] = {}
    for name, container in view.containers.items():
        kept = past if container.attempt < view.floors.get(name, 0) else counted
        kept[name] = container
    return replace(view, containers=counted, past=past, floors={})


def floors_after(containers: Mapping[str, Container], spec: Doc) -> dict[str, int]:
    """The first attempts that will count, now that all are to start anew."""
    names = [one["name"] for one in _lasting(spec)]
    return {name: containers[name].attempt + 1 for name in names if name in containers}


def _lasting(spec: Doc) -> Iterable[Doc]:
    """All but ephemeral containers, which have no part in the pod's life."""
    return (*init_containers(spec), *main_containers(spec))
