"""Which pods count in which way, and what they request. Pure.

Source: pkg/controller/podautoscaler/replica_calculator.go (groupPods, calculateRequests).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from longshore.base import quantities
from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import requests_of
from longshore.machinery.controllers.common import pods as pod_state

# kube-controller-manager's --horizontal-pod-autoscaler-cpu-initialization-period and
# --horizontal-pod-autoscaler-initial-readiness-delay.
_CPU_INITIALIZATION_S = 300.0
_INITIAL_READINESS_S = 30.0
NONE_SELECTED = "no pods returned by selector while calculating replica count"
NONE_MEASURED = "did not receive metrics for targeted pods (pods might be unready)"


class Uncomputable(Exception):
    """A metric that nothing can be calculated from; upstream's words."""


@dataclass(frozen=True, slots=True)
class Value:
    """What was measured of a pod, in thousandths, over window_s seconds that ended at `at`."""

    milli: int
    at: float
    window_s: float


@dataclass(frozen=True, slots=True)
class Groups:
    """ready: how many pods count with what was measured of them; of the others, those that are not
    ready and those of which nothing is known, by name."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]


def grouped(
    pods: Sequence[Doc], values: Mapping[str, Value], resource: str, now: float
) -> tuple[Groups, dict[str, int]]:
    """The groups, and what the ready pods use. resource is empty for metrics that are none. Raises
    Uncomputable if there are no pods, or nothing is known of any that is ready."""
    if not pods:
        raise Uncomputable(NONE_SELECTED)
    unready, missing, ready = set[str](), set[str](), dict[str, int]()
    for pod in pods:
        name, phase = pod["metadata"]["name"], pod_state.phase(pod)
        if pod["metadata"].get("deletionTimestamp") or phase == "Failed":
            continue
        if phase == "Pending":
            unready.add(name)
        elif (value := values.get(name)) is None:
            missing.add(name)
        elif resource == "cpu" and _is_starting(pod, value, now):
            unready.add(name)
        else:
            ready[name] = value.milli
    if not ready:
        raise Uncomputable(NONE_MEASURED)
    return Groups(len(ready), frozenset(unready), frozenset(missing)), ready


def _is_starting(pod: Doc, value: Value, now: float) -> bool:
    """Whether what it uses of a CPU says little: it starts, or was never ready."""
    condition, started = pod_state.condition(pod, "Ready"), pod["status"].get("startTime")
    if condition is None or started is None:
        return True
    since, unready = _transition(condition), condition.get("status") == "False"
    if parse_rfc3339(started) + _CPU_INITIALIZATION_S > now:
        return unready or value.at < since + value.window_s
    return unready and parse_rfc3339(started) + _INITIAL_READINESS_S > since


def _transition(condition: Doc) -> float:
    text = condition.get("lastTransitionTime")
    return parse_rfc3339(text) if text else 0.0


def ready_count(pods: Iterable[Doc]) -> int:
    """How many run and are Ready."""
    return sum(pod_state.phase(pod) == "Running" and pod_state.is_ready(pod) for pod in pods)


def requested(pods: Iterable[Doc], resource: str, container: str = "") -> dict[str, int]:
    """What each pod, or one container of each, requests, in thousandths. Raises Uncomputable."""
    return {pod["metadata"]["name"]: _request(pod, resource, container) for pod in pods}


def _request(pod: Doc, resource: str, container: str) -> int:
    spec, name = pod["spec"], pod["metadata"]["name"]
    if not container and (spec.get("resources") or {}).get("requests"):
        found = requests_of(spec).get(resource)
        if found is None:
            raise Uncomputable(f"missing pod-level request for {resource} in Pod {name}")
        return found if resource == "cpu" else found * 1000
    counted = [one for one in _lasting(spec) if container in ("", one["name"])]
    if not counted:
        raise Uncomputable(f"container {container} not found in Pod {name}")
    return sum(_container_request(one, resource, name) for one in counted)


def _lasting(spec: Doc) -> list[Doc]:
    """Containers, and init containers that run beside them."""
    beside = [
        one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"
    ]
    return [*spec["containers"], *beside]


def _container_request(container: Doc, resource: str, pod: str) -> int:
    amount = ((container.get("resources") or {}).get("requests") or {}).get(resource)
    if amount is None:
        why = f"missing request for {resource} in container {container['name']} of Pod {pod}"
        raise Uncomputable(why)
    return quantities.millis(amount)
