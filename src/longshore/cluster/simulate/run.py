"""Simulate: make the workloads in memory, have the scheduler decide on their pods, and sum up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from longshore.cluster.simulate.manifests import Given
from longshore.cluster.simulate.outcome import Landed, NodeLoad, Outcome, loads, put
from longshore.cluster.simulate.present import Present
from longshore.cluster.simulate.rehearsal import Rehearsal, Workload, rehearsed
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored
from longshore.machinery.scheduler.desk import Desk


@dataclass(slots=True)
class Decisions:
    """By pods' uids: the nodes they get, or why they get none."""

    nodes: dict[str, str]
    refusals: dict[str, str]


def simulate(present: Present, given: Sequence[Given], seed: int) -> Outcome:
    """Where what is given would land. Raises ClusterError for what no server would take."""

    async def play(rehearsal: Rehearsal) -> Outcome:
        await rehearsal.present(present.objects)
        workloads = await rehearsal.perform(given, present.nodes)
        decided = _decide(present, rehearsal.cache)
        return _outcome(present, rehearsal.cache.all(kinds.POD), workloads, decided)

    return asyncio.run(rehearsed(seed, play))


def _decide(present: Present, cache: Cache) -> Decisions:
    desk, decided = Desk(), Decisions({}, {})
    there = [*((kinds.NODE, one) for one in present.nodes),
             *((kinds.POD, one) for one in present.pods)]  # fmt: skip
    for kind, doc in there:
        whole = {"apiVersion": kind.api_version, "kind": kind.name, **doc}
        desk.hear(Frame("ADDED", Stored.of(kind, kind.key_of(doc), whole), None))
    for stored in cache.shelf(kinds.POD).held():
        desk.hear(Frame("ADDED", stored, None))
    while desk.has_work():
        turn = desk.turn()
        decided.nodes |= {pod.uid: node for pod, node in turn.bound}
        decided.refusals |= {pod.uid: why for pod, why in turn.refused}
    return decided


def _outcome(
    present: Present, pods: Iterable[Doc], workloads: Sequence[Workload], decided: Decisions
) -> Outcome:
    nodes = loads(present.nodes)
    for pod in present.pods:
        put(nodes[pod["spec"]["nodeName"]], pod)
    for pod in pods:
        if node := decided.nodes.get(pod["metadata"]["uid"]) or pod["spec"].get("nodeName"):
            put(nodes[node], pod)
    return Outcome([*nodes.values()], [_landed(one, nodes, decided) for one in workloads])


def _landed(workload: Workload, nodes: dict[str, NodeLoad], decided: Decisions) -> Landed:
    refused, zones = Counter(workload.refused), Counter[str]()
    for uid in workload.uids:
        if uid in decided.nodes:
            zones[nodes[decided.nodes[uid]].zone] += 1
        else:
            refused[decided.refusals.get(uid, "the scheduler leaves it alone")] += 1
    wanted = len(workload.uids) + sum(workload.refused.values())
    return Landed(workload.title, workload.namespace, wanted, zones, refused)
