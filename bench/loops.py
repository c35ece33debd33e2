"""What users declare comes true: Deployments, their updates and a namespace's end, on hollow nodes with
the server's loops in one process; then what a cluster at rest costs, and a pod's event in it.

Times are from the write that asks for it until a watch tells that all of it is done."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from bench.table import Figure
from longshore.base.process import cpu_seconds
from longshore.cluster.bench.control_plane import (
    ControlPlane,
    control_plane,
    controllers,
    hollow_nodes,
    scheduler,
)
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Delete, DeleteOptions, Operation, Patch
from longshore.core.watch.feeds import CacheFeed
from longshore.core.watch.frames import Frame
from longshore.machinery.kubelet.config import LEASE_RENEW_S
from longshore.machinery.kubelet.hollow.nodes import CAPACITY, hollow_configs

NODES, NODE_PODS = 100, 110
REPLICAS = 1000
DEPLOYMENTS, SMALL = 1000, 3
OBJECTS, PODS_OF_THEM = 10_000, 1000
RESTING, REST_S = 10_000, 30.0
CROWDS, CROWD_OF = (1_000, 10_000, 100_000), 10
EVENTS, AT_ONCE = 1_000, 100
# Leases are renewed every ten seconds, all at once; nothing else happens where all is well.
SETTLED_S, BRIEFLY_S, LOOK_S = 3.0, 0.3, 0.05
LEASES_S = 2 * LEASE_RENEW_S


async def figures() -> list[Figure]:
    return [
        *await _large(),
        await _many(),
        await _namespace(),
        await _rest(),
        *[figure for pods in CROWDS for figure in await _events(pods)],
    ]


async def _large() -> list[Figure]:
    """One Deployment, made and updated."""
    async with _cluster() as plane:
        feed = plane.cache.subscribe(kinds.DEPLOYMENT)
        begun = plane.clock.monotonic()
        await plane.submit([Create(kinds.DEPLOYMENT, _deployment("large", REPLICAS))])
        await _until(feed, _complete)
        made = plane.clock.monotonic() - begun
        await _settled(plane)
        begun = plane.clock.monotonic()
        await plane.submit([Patch(kinds.DEPLOYMENT, "default", "large", _image("web:2"))])
        await _until(feed, _complete)
        updated = plane.clock.monotonic() - begun
    note = f"on {NODES} hollow nodes, durable, to all available as its status says"
    return [
        Figure(f"a Deployment of {REPLICAS:,} replicas made", made, "s", 1.5, note=note),
        Figure("its rolling update", updated, "s", 5, note="surge and unavailable 25 %"),
    ]


async def _many() -> Figure:
    async with _cluster() as plane:
        feed = plane.cache.subscribe(kinds.DEPLOYMENT)
        begun = plane.clock.monotonic()
        await plane.submit(list(_crowd(DEPLOYMENTS, SMALL)))
        made = plane.clock.monotonic() - begun
        await _until(feed, _complete, DEPLOYMENTS)
        took = plane.clock.monotonic() - begun
    note = f"all available as their statuses say; themselves created in {made:.2f} s"
    return Figure(f"{DEPLOYMENTS:,} Deployments of {SMALL} made", took, "s", 4, note=note)


async def _namespace() -> Figure:
    """Of ConfigMaps, and of a Deployment with its pods: those end in order, by their nodes."""
    async with _cluster() as plane:
        await plane.submit([Create(kinds.NAMESPACE, {"metadata": {"name": "full"}})])
        await _grown(plane, [_deployment("web", PODS_OF_THEM, "full")])
        maps = OBJECTS - PODS_OF_THEM - 4  # Deployment, its set, the account and the certificate
        await plane.submit([Create(kinds.CONFIG_MAP, _map(number)) for number in range(maps)])
        await _settled(plane)
        feed, begun = plane.cache.subscribe(kinds.NAMESPACE), plane.clock.monotonic()
        await plane.submit([Delete(kinds.NAMESPACE, "", "full")])
        await _until(feed, lambda frame: frame.type == "DELETED")
        took = plane.clock.monotonic() - begun
    note = f"{PODS_OF_THEM:,} of them running pods, which end at once; durable"
    return Figure(f"a namespace of {OBJECTS:,} objects deleted", took, "s", 3, note=note)


async def _rest() -> Figure:
    async with _cluster() as plane:
        await _grown(plane, [one.doc for one in _crowd(RESTING // CROWD_OF, CROWD_OF)])
        await _settled(plane)
        before = cpu_seconds()
        await plane.clock.sleep(REST_S)
        share = (cpu_seconds() - before) / REST_S * 100
    note = f"of a core over {REST_S:g} s, {NODES} hollow nodes' leases in the same process"
    return Figure(f"at rest with {RESTING:,} pods", share, "%", 1, note=note)


async def _events(pods: int) -> list[Figure]:
    """One pod of each of some Deployments at a time, so that no look at a Deployment is shared."""
    async with _cluster(-(-pods // NODE_PODS)) as plane:
        crowd = list(_crowd(pods // CROWD_OF, CROWD_OF))
        await plane.submit([_service(one.doc) for one in crowd])
        await _grown(plane, [one.doc for one in crowd])
        await _settled(plane)
        gc.collect()
        gc.freeze()  # as a server does that starts on them: what is there is not looked through anew
        noted, lost = _chosen(plane), _chosen(plane)
        await _settled(plane)
        rest = await _resting(plane)
        noted_us = await _spent(plane, [_noted(pod) for pod in noted], rest)
        lost_us = await _spent(plane, [_lost(pod) for pod in lost], rest)
    gc.unfreeze()
    note = (
        f"of Deployments of {CROWD_OF} with Services; {EVENTS:,} of them, all loops; without what the nodes "
        f"cost that are there, {rest * 100:.1f} % of a core"
    )
    return [
        Figure(f"a change of a pod among {pods:,}, heard by all, CPU", noted_us, "us", note=note),
        Figure(f"a pod lost and replaced among {pods:,}, CPU", lost_us, "us", note=note),
    ]


def _chosen(plane: ControlPlane) -> list[Doc]:
    """A pod of each Deployment by turns, as they are found all over the cluster."""
    turns: dict[str, list[Doc]] = {}
    for doc in plane.cache.all(kinds.POD):
        turns.setdefault(doc["metadata"]["labels"]["app"], []).append(doc)
    rounds = zip(*turns.values(), strict=True)
    return [pod for one in rounds for pod in one][:EVENTS]


async def _resting(plane: ControlPlane) -> float:
    """Of a core, what the cluster costs while nothing is asked of it: its nodes' signs of life, of which
    there are more where there are more pods."""
    before = cpu_seconds()
    await plane.clock.sleep(LEASES_S)
    return (cpu_seconds() - before) / LEASES_S


async def _spent(plane: ControlPlane, work: list[Operation], rest: float) -> float:
    """Microseconds of this process for each, until everybody is done with them; rest is what it costs
    anyway, of a core."""
    before, begun = cpu_seconds(), plane.clock.monotonic()
    for start in range(0, len(work), AT_ONCE):
        await plane.submit(work[start : start + AT_ONCE])
        await _settled(plane, BRIEFLY_S)
    spent = cpu_seconds() - before - rest * (plane.clock.monotonic() - begun)
    return spent / len(work) * 1e6


# ---- what is asked for


def _crowd(deployments: int, replicas: int) -> Iterator[Create]:
    for number in range(deployments):
        yield Create(kinds.DEPLOYMENT, _deployment(f"app-{number}", replicas))


def _deployment(name: str, replicas: int, namespace: str = "default") -> Doc:
    labels = {"app": name}
    spec = _image("web:1")["spec"]["template"]["spec"] | {"terminationGracePeriodSeconds": 0}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def _image(image: str) -> Doc:
    amounts = {"cpu": "100m", "memory": "64Mi"}
    container = {"name": "web", "image": image, "resources": {"requests": amounts}}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


def _service(deployment: Doc) -> Create:
    spec = {"selector": deployment["spec"]["selector"]["matchLabels"], "ports": [{"port": 80}]}
    return Create(kinds.SERVICE, {"metadata": deployment["metadata"], "spec": spec})


def _noted(pod: Doc) -> Operation:
    change = {"metadata": {"annotations": {"noted": "yes"}}}
    return Patch(kinds.POD, "default", pod["metadata"]["name"], change)


def _lost(pod: Doc) -> Operation:
    return Delete(kinds.POD, "default", pod["metadata"]["name"], DeleteOptions(grace_s=0))


def _map(number: int) -> Doc:
    metadata = {"name": f"map-{number}", "namespace": "full"}
    return {"metadata": metadata, "data": {"key": "value" * 20}}


# ---- the cluster and its progress


@asynccontextmanager
async def _cluster(nodes: int = NODES) -> AsyncIterator[ControlPlane]:
    """All loops, and nodes that are ready."""
    capacity = {**CAPACITY, "cpu": "64", "memory": "512Gi", "pods": str(NODE_PODS)}
    configs = hollow_configs([f"node-{number}" for number in range(nodes)], capacity)
    async with control_plane(hollow_nodes(configs), scheduler, controllers) as plane:
        await _settled(plane)
        yield plane


async def _grown(plane: ControlPlane, deployments: list[Doc]) -> None:
    """Make them, and wait until they are complete."""
    feed = plane.cache.subscribe(kinds.DEPLOYMENT)
    await plane.submit([Create(kinds.DEPLOYMENT, one) for one in deployments])
    await _until(feed, _complete, len(deployments))
    feed.close()


async def _until(feed: CacheFeed, done: Callable[[Frame], bool], count: int = 1) -> None:
    """Wait until so many objects are as they should be."""
    there: set[tuple[str, str]] = set()
    while len(there) < count:
        for frame in await feed.next_batch():
            (there.add if done(frame) else there.discard)(
                (frame.stored.namespace, frame.stored.name)
            )


def _complete(frame: Frame) -> bool:
    """As kubectl rollout status has it, and no old pod is counted any more."""
    metadata, spec, status = (frame.doc.get(part) or {} for part in ("metadata", "spec", "status"))
    counts = ("replicas", "updatedReplicas", "availableReplicas")
    seen = status.get("observedGeneration") == metadata["generation"]
    return seen and all(status.get(one) == spec["replicas"] for one in counts)


async def _settled(plane: ControlPlane, quiet_s: float = SETTLED_S) -> None:
    """Wait until nothing has been written for so long."""
    clock, seen, since = plane.clock, -1, 0.0
    while plane.cache.revision != seen or clock.monotonic() < since + quiet_s:
        if plane.cache.revision != seen:
            seen, since = plane.cache.revision, clock.monotonic()
        await clock.sleep(LOOK_S)
