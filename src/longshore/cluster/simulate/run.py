"""Simulate: make the workloads in memory, have the scheduler decide on their pods, and sum up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from longshore.cluster.simulate.decide import Decisions, decide, heard
from longshore.cluster.simulate.manifests import Given
from longshore.cluster.simulate.outcome import Landed, NodeLoad, Outcome, loads, put
from longshore.cluster.simulate.present import Present
from longshore.cluster.simulate.rehearsal import Rehearsal, Workload, rehearsed
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.scheduler.picture import scheduler_of
from longshore.machinery.scheduler.profile import PROFILES, Profile
from longshore.machinery.scheduler.worker import WATCHES


def simulate(
    present: Present,
    given: Sequence[Given],
    seed: int,
    profiles: Mapping[str, Profile] = PROFILES,
) -> Outcome:
    """Where what is given would land. Raises ClusterError for what no server would take."""

    async def play(rehearsal: Rehearsal) -> Outcome:
        await rehearsal.present(present.objects)
        workloads = await rehearsal.perform(given, present.nodes)
        decided = decide(_frames(present, rehearsal.cache), profiles, seed)
        return _outcome(present, rehearsal.cache.all(kinds.POD), workloads, decided)

    return asyncio.run(rehearsed(seed, play))


def _frames(present: Present, cache: Cache) -> Iterator[Frame]:
    """All that placement depends on, in the order in which a scheduler reads it."""
    there = {kinds.NODE: present.nodes, kinds.POD: present.pods}
    for kind in WATCHES:
        yield from (heard(kind, doc) for doc in there.get(kind, ()))
        yield from (Frame("ADDED", stored, None) for stored in cache.shelf(kind).held())


def _outcome(
    present: Present, pods: Iterable[Doc], workloads: Sequence[Workload], decided: Decisions
) -> Outcome:
    nodes = loads(present.nodes)
    for pod in present.pods:
        if pod["metadata"]["uid"] not in decided.refusals:
            put(nodes[pod["spec"]["nodeName"]], pod)
    places: dict[str, Place] = {}
    for pod in pods:
        places[pod["metadata"]["uid"]] = place = _place(pod, nodes, decided)
        if place.node:
            put(nodes[place.node], pod)
    landed = [_landed(one, nodes, places) for one in workloads]
    return Outcome([*nodes.values()], landed, decided.evicted)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod is, or why it is nowhere."""

    node: str
    why: str = ""


def _place(pod: Doc, nodes: Container[str], decided: Decisions) -> Place:
    uid, spec = pod["metadata"]["uid"], pod["spec"]
    if uid in decided.nodes:
        return Place(decided.nodes[uid])
    if why := decided.refusals.get(uid):
        return Place("", why)
    if name := spec.get("nodeName"):
        return Place(name) if name in nodes else Place("", f'nodes "{name}" not found')
    if gates := spec.get("schedulingGates"):
        held = ", ".join(one["name"] for one in gates)
        return Place("", f"held by its scheduling gates: {held}")
    if scheduler_of(pod) not in decided.schedulers:
        return Place("", f"left to another scheduler, {scheduler_of(pod)}")
    return Place("", "held back by its group or its queue")


def _landed(
    workload: Workload, nodes: Mapping[str, NodeLoad], places: Mapping[str, Place]
) -> Landed:
    refused, zones = Counter(workload.refused), Counter[str]()
    for uid in workload.uids:
        place = places[uid]
        if place.node:
            zones[nodes[place.node].zone] += 1
        else:
            refused[place.why] += 1
    wanted = len(workload.uids) + sum(workload.refused.values())
    return Landed(workload.title, workload.namespace, wanted, zones, refused)
