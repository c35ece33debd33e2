"""From workloads to the pods that their controllers would make. Pure: the controllers' own functions
make the pods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.machinery.controllers.common.owners import reference
from longshore.machinery.controllers.cronjob.plan import job_from
from longshore.machinery.controllers.daemonset.nodes import meant_by, should_run
from longshore.machinery.controllers.daemonset.pods import PodMaker
from longshore.machinery.controllers.deployment.revisions import new_set
from longshore.machinery.controllers.history.plan import (
    HASH_LABEL,
    STATEFUL_HASH_LABEL,
    hash_in,
    next_step,
)
from longshore.machinery.controllers.job import pods as of_job
from longshore.machinery.controllers.job.facts import NO_INDEX
from longshore.machinery.controllers.job.plan import Wanted
from longshore.machinery.controllers.replicaset import plan as of_set
from longshore.machinery.controllers.statefulset import claims, identity


@dataclass(frozen=True, slots=True)
class Made:
    """An object that a controller would make."""

    kind: Kind
    doc: Doc


Expand = Callable[[Doc, Sequence[Doc]], Iterator[Made]]
"""From a workload and all nodes."""


def expanded(kind: Kind, doc: Doc, nodes: Sequence[Doc]) -> Iterator[Made]:
    """What is made for a workload as the API keeps it, pods in the order in which they are made."""
    return EXPANDED[kind](doc, nodes)


def _deployment(doc: Doc, nodes: Sequence[Doc]) -> Iterator[Made]:
    replicas = int(doc["spec"].get("replicas", 1))
    made = new_set(doc, [], replicas, replicas)
    made["metadata"]["uid"] = doc["metadata"]["uid"]
    return _replicas(kinds.REPLICA_SET, made, nodes)


def _replicas(kind: Kind, doc: Doc, nodes: Sequence[Doc]) -> Iterator[Made]:
    owner = reference(kind, doc)
    for _ in range(int(doc["spec"].get("replicas", 1))):
        yield Made(kinds.POD, of_set.pod_from(doc, owner))


def _stateful_set(doc: Doc, nodes: Sequence[Doc]) -> Iterator[Made]:
    revision = next_step(kinds.STATEFUL_SET, doc, [], 0, STATEFUL_HASH_LABEL).newest
    for ordinal in identity.ordinals(doc):
        for claim in claims.made(doc, ordinal):
            yield Made(kinds.PVC, claim)
        yield Made(kinds.POD, identity.pod_from(doc, revision, ordinal))


def _daemon_set(doc: Doc, nodes: Sequence[Doc]) -> Iterator[Made]:
    revision = next_step(kinds.DAEMON_SET, doc, [], 0, HASH_LABEL).newest
    maker, meant = PodMaker(doc, hash_in(revision)), meant_by(doc["spec"]["template"]["spec"])
    for node in nodes:
        if should_run(meant, node)[0]:
            yield Made(kinds.POD, maker.pod_for(node["metadata"]["name"]))


def _job(doc: Doc, nodes: Sequence[Doc]) -> Iterator[Made]:
    """Those that run at the same time: the first of them."""
    spec, owner = doc["spec"], reference(kinds.JOB, doc)
    count = int(spec.get("parallelism", 1))
    if spec.get("completions") is not None:
        count = min(count, int(spec["completions"]))
    indexed = spec.get("completionMode") == "Indexed"
    for number in range(count):
        wanted = Wanted(number if indexed else NO_INDEX)
        yield Made(kinds.POD, of_job.pod_from(doc, owner, wanted))


def _cron_job(doc: Doc, nodes: Sequence[Doc]) -> Iterator[Made]:
    """One run of it."""
    job = job_from(doc, reference(kinds.CRON_JOB, doc), 0.0, ZoneInfo("UTC"))
    job["metadata"]["uid"] = doc["metadata"]["uid"]
    return _job(job, nodes)


def _pod(doc: Doc, nodes: Sequence[Doc]) -> Iterator[Made]:
    yield Made(kinds.POD, doc)


EXPANDED: Mapping[Kind, Expand] = {
    kinds.CRON_JOB: _cron_job,
    kinds.DAEMON_SET: _daemon_set,
    kinds.DEPLOYMENT: _deployment,
    kinds.JOB: _job,
    kinds.POD: _pod,
    kinds.REPLICA_SET: partial(_replicas, kinds.REPLICA_SET),
    kinds.REPLICATION_CONTROLLER: partial(_replicas, kinds.REPLICATION_CONTROLLER),
    kinds.STATEFUL_SET: _stateful_set,
}
