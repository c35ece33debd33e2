"""From workloads to the pods that their controllers would make. Pure: the controllers' own functions
make the pods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.machinery.controllers.common.owners import reference
from longshore.machinery.controllers.deployment.revisions import new_set
from longshore.machinery.controllers.history.plan import STATEFUL_HASH_LABEL, next_step
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


Expand = Callable[[Doc], Iterator[Made]]


def expanded(kind: Kind, doc: Doc) -> Iterator[Made]:
    """What is made for a workload as the API keeps it, pods in the order in which they are made."""
    return EXPANDED[kind](doc)


def _deployment(doc: Doc) -> Iterator[Made]:
    replicas = int(doc["spec"].get("replicas", 1))
    made = new_set(doc, [], replicas, replicas)
    made["metadata"]["uid"] = doc["metadata"]["uid"]
    return _replica_set(made)


def _replica_set(doc: Doc) -> Iterator[Made]:
    owner = reference(kinds.REPLICA_SET, doc)
    for _ in range(int(doc["spec"].get("replicas", 1))):
        yield Made(kinds.POD, of_set.pod_from(doc, owner))


def _stateful_set(doc: Doc) -> Iterator[Made]:
    revision = next_step(kinds.STATEFUL_SET, doc, [], 0, STATEFUL_HASH_LABEL).newest
    for ordinal in identity.ordinals(doc):
        for claim in claims.made(doc, ordinal):
            yield Made(kinds.PVC, claim)
        yield Made(kinds.POD, identity.pod_from(doc, revision, ordinal))


def _job(doc: Doc) -> Iterator[Made]:
    """Those that run at the same time: the first of them."""
    spec, owner = doc["spec"], reference(kinds.JOB, doc)
    count = int(spec.get("parallelism", 1))
    if spec.get("completions") is not None:
        count = min(count, int(spec["completions"]))
    indexed = spec.get("completionMode") == "Indexed"
    for number in range(count):
        wanted = Wanted(number if indexed else NO_INDEX)
        yield Made(kinds.POD, of_job.pod_from(doc, owner, wanted))


def _pod(doc: Doc) -> Iterator[Made]:
    yield Made(kinds.POD, doc)


EXPANDED: Mapping[Kind, Expand] = {
    kinds.DEPLOYMENT: _deployment,
    kinds.REPLICA_SET: _replica_set,
    kinds.STATEFUL_SET: _stateful_set,
    kinds.JOB: _job,
    kinds.POD: _pod,
}
