"""Which pods count in which way, and what they request. Pure.

Source: pkg/controller/podautoscaler/replica_calculator.go (groupPods, calculateRequests).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

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
class Requests:
    """What a pod requests: as a whole, if it says so (cpu in thousandths, all else in whole units), and by
    container (quantities), of those that last."""

    whole: tuple[tuple[str, int], ...] | None
    containers: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

    @classmethod
    def of(cls, spec: Doc) -> Requests:
        beside = (
            one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"
        )
        says_so = (spec.get("resources") or {}).get("requests")
        whole = tuple(requests_of(spec).items()) if says_so else None
        each = ((one["name"], _requests(one)) for one in (*spec["containers"], *beside))
        return _shared(cls(whole, tuple(each)))

    def milli(self, resource: str, container: str, pod: str) -> int:
        """Of a resource, in thousandths, by the whole pod or one container. Raises Uncomputable."""
        if self.whole is not None and not container:
            amount = dict(self.whole).get(resource)
            if amount is None:
                raise Uncomputable(f"missing pod-level request for {resource} in Pod {pod}")
            return amount * (1 if resource == "cpu" else 1000)
        counted = [(name, dict(each)) for name, each in self.containers if container in ("", name)]
        if not counted:
            raise Uncomputable(f"container {container} not found in Pod {pod}")
        for name, amounts in counted:
            if resource not in amounts:
                raise Uncomputable(
                    f"missing request for {resource} in container {name} of Pod {pod}"
                )
        return sum(quantities.millis(amounts[resource]) for _, amounts in counted)


def _requests(container: Doc) -> tuple[tuple[str, str], ...]:
    return tuple(((container.get("resources") or {}).get("requests") or {}).items())


@lru_cache(maxsize=1024)
def _shared(requests: Requests) -> Requests:
    """One for all pods of a workload."""
    return requests


@dataclass(frozen=True, slots=True)
class Pod:
    """What autoscaling goes by of a pod. ready is the status of that condition (empty: there is none),
    since the time of its last transition, started that of the pod; in seconds since the epoch."""

    name: str
    uid: str
    node: str
    phase: str
    leaving: bool
    ready: str
    since: float
    started: float | None
    requests: Requests

    @classmethod
    def of(cls, doc: Doc) -> Pod:
        metadata, status = doc["metadata"], doc.get("status") or {}
        condition = pod_state.condition(doc, "Ready") or {}
        return cls(
            metadata["name"],
            metadata.get("uid", ""),
            pod_state.node_name(doc),
            pod_state.phase(doc),
            "deletionTimestamp" in metadata,
            str(condition.get("status") or ""),
            _time(condition.get("lastTransitionTime")) or 0.0,
            _time(status.get("startTime")),
            Requests.of(doc["spec"]),
        )


def _time(text: str | None) -> float | None:
    return parse_rfc3339(text) if text else None


@dataclass(frozen=True, slots=True)
class Groups:
    """ready: how many pods count with what was measured of them; of the others, those that are not
    ready and those of which nothing is known, by name."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]


def grouped(
    pods: Sequence[Pod], values: Mapping[str, Value], resource: str, now: float
) -> tuple[Groups, dict[str, int]]:
    """The groups, and what the ready pods use. resource is empty for metrics that are none. Raises
    Uncomputable if there are no pods, or nothing is known of any that is ready."""
    if not pods:
        raise Uncomputable(NONE_SELECTED)
    unready, missing, ready = set[str](), set[str](), dict[str, int]()
    for pod in pods:
        if pod.leaving or pod.phase == "Failed":
            continue
        if pod.phase == "Pending":
            unready.add(pod.name)
        elif (value := values.get(pod.name)) is None:
            missing.add(pod.name)
        elif resource == "cpu" and _is_starting(pod, value, now):
            unready.add(pod.name)
        else:
            ready[pod.name] = value.milli
    if not ready:
        raise Uncomputable(NONE_MEASURED)
    return Groups(len(ready), frozenset(unready), frozenset(missing)), ready


def _is_starting(pod: Pod, value: Value, now: float) -> bool:
    """Whether what it uses of a CPU says little: it starts, or was never ready."""
    if not pod.ready or pod.started is None:
        return True
    unready = pod.ready == "False"
    if pod.started + _CPU_INITIALIZATION_S > now:
        return unready or value.at < pod.since + value.window_s
    return unready and pod.started + _INITIAL_READINESS_S > pod.since


def ready_count(pods: Iterable[Pod]) -> int:
    """How many run and are Ready."""
    return sum(pod.phase == "Running" and pod.ready == "True" for pod in pods)


def requested(pods: Iterable[Pod], resource: str, container: str = "") -> dict[str, int]:
    """What each pod, or one container of each, requests, in thousandths. Raises Uncomputable."""
    # Most pods share what they request, so it is reckoned once.
    known: dict[int, int] = {}
    found: dict[str, int] = {}
    for pod in pods:
        milli = known.get(id(pod.requests))
        if milli is None:
            milli = known[id(pod.requests)] = pod.requests.milli(resource, container, pod.name)
        found[pod.name] = milli
    return found
