"""What a hollow pod is told to do wrong (core/objects/hollow.py), as its life's plan sees it. Pure."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from longshore.core.objects.hollow import (
    ANNOTATION,
    FOREVER,
    USUAL_NODE,
    USUAL_POD,
    NodeBehaviour,
    PodBehaviour,
    node_behaviour,
    pod_behaviour,
)
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import Health
from longshore.machinery.runtime.protocol import Container, State

_log = logging.getLogger("longshore.kubelet.hollow")
_TERMINATED, _KILLED = 143, 137
_WELL: Mapping[str, Health] = {}


def told(doc: Doc) -> str:
    """What the annotation of a pod or a Node says, empty if it has none."""
    annotations = doc["metadata"].get("annotations")
    return "" if annotations is None else annotations.get(ANNOTATION, "")


def pod_told(doc: Doc) -> PodBehaviour:
    """The API refuses what cannot be understood; what another server let in changes nothing."""
    said = told(doc)
    try:
        return pod_behaviour(said) if said else USUAL_POD
    except ValueError as error:
        _log.warning("pod %s: %s: %s", doc["metadata"]["name"], ANNOTATION, error)
        return USUAL_POD


def node_told(doc: Doc) -> NodeBehaviour:
    """The same of a Node."""
    said = told(doc)
    try:
        return node_behaviour(said) if said else USUAL_NODE
    except ValueError as error:
        _log.warning("node %s: %s: %s", doc["metadata"]["name"], ANNOTATION, error)
        return USUAL_NODE


def health(
    behaviour: PodBehaviour, spec: Doc, containers: Mapping[str, Container], now: float
) -> Mapping[str, Health]:
    """What the probes of the pod's main containers would say."""
    if behaviour.unready_from_s is None and behaviour.unlive_after_s is None:
        return _WELL
    named = ((one["name"], containers.get(one["name"])) for one in spec["containers"])
    return {
        name: _health(behaviour, name, now - one.started_at)
        for name, one in named
        if one is not None and one.state is State.RUNNING
    }


def _health(behaviour: PodBehaviour, name: str, for_s: float) -> Health:
    dead = behaviour.unlive_after_s is not None and for_s >= behaviour.unlive_after_s
    failed = f"Container {name} failed liveness probe, will be restarted" if dead else ""
    return Health(ready=not behaviour.unready(for_s), failed=failed)


def moments(behaviour: PodBehaviour, container: Container) -> Iterator[float]:
    """When what the probes say of a running container changes."""
    for after_s in (behaviour.unready_from_s, behaviour.unready_to_s, behaviour.unlive_after_s):
        if after_s is not None and after_s < FOREVER:
            yield container.started_at + after_s


def stop(behaviour: PodBehaviour, grace_s: float, now: float) -> tuple[float, int]:
    """When a container ends that is asked to now, and with which exit code: killed, if its grace is over
    before."""
    if behaviour.stop_s == FOREVER:
        return FOREVER, _KILLED
    if behaviour.stop_s <= grace_s:
        return now + behaviour.stop_s, _TERMINATED
    return now + grace_s, _KILLED
