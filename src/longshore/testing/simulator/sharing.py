"""What users ask who share a cluster: pods that run together or not at all, queues with quotas, and
capacity for a scheduler of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.cluster import SimulatedCluster
from longshore.testing.simulator.script import Args
from longshore.testing.simulator.server import Unreachable
from longshore.testing.simulator.sets import Ask

OTHER = "other"
"""The name of a scheduler that takes what it is offered."""
_CORE, _GROUPS = "/api/v1", "/apis/scheduling.k8s.io/v1beta1"
_QUEUES, _OFFERS = "/apis/kueue.x-k8s.io/v1beta1", "/apis/scheduling.longshore.io/v1"
_PODS = "/namespaces/default/pods"
ROOTS = {
    _GROUPS: "/scheduling.k8s.io/", _QUEUES: "/kueue.x-k8s.io/",
    _OFFERS: "/scheduling.longshore.io/",
}  # fmt: skip


def _pod(args: Args, labels: Mapping[str, str], **spec: object) -> Ask:
    # Of nothing else: queues would have to have a quota for it.
    container = {
        "name": "main", "image": "main:1", "resources": {"requests": {"cpu": args["cpu"]}}
    }  # fmt: skip
    body = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": args["name"], "labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 2, **spec},
    }  # fmt: skip
    return Ask("POST", _CORE, _PODS, body)


def _group(args: Args) -> Ask:
    policy = {"gang": {"minCount": args["least"]}}
    body = {
        "apiVersion": "scheduling.k8s.io/v1beta1", "kind": "PodGroup",
        "metadata": {"name": args["name"]}, "spec": {"schedulingPolicy": policy},
    }  # fmt: skip
    return Ask("POST", _GROUPS, "/namespaces/default/podgroups", body)


def _member(args: Args) -> Ask:
    return _pod(args, {}, schedulingGroup={"podGroupName": args["group"]})


def _cluster_queue(args: Args) -> Ask:
    quota = {"name": "cpu", "nominalQuota": args["cpu"]}
    group = {"coveredResources": ["cpu"], "flavors": [{"name": "default", "resources": [quota]}]}
    spec = {
        "cohort": "all", "namespaceSelector": {}, "resourceGroups": [group],
        "preemption": {"reclaimWithinCohort": "Any"},
    }  # fmt: skip
    body = {"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "ClusterQueue"}
    return Ask(
        "POST",
        _QUEUES,
        "/clusterqueues",
        {**body, "metadata": {"name": args["name"]}, "spec": spec},
    )


def _local_queue(args: Args) -> Ask:
    body = {
        "apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "LocalQueue",
        "metadata": {"name": args["name"]}, "spec": {"clusterQueue": args["name"]},
    }  # fmt: skip
    return Ask("POST", _QUEUES, "/namespaces/default/localqueues", body)


def _queued(args: Args) -> Ask:
    return _pod(args, {"kueue.x-k8s.io/queue-name": args["queue"]})


def _offer(args: Args) -> Ask:
    spec = {"schedulerName": OTHER, "leaseDurationSeconds": args["lease_s"]}
    body = {
        "apiVersion": "scheduling.longshore.io/v1", "kind": "Offer",
        "metadata": {"name": args["name"]}, "spec": spec,
    }  # fmt: skip
    return Ask("POST", _OFFERS, "/offers", body)


def _foreign(args: Args) -> Ask:
    return _pod(args, {}, schedulerName=OTHER)


async def accept(cluster: SimulatedCluster, args: Args) -> None:
    """The other scheduler binds a pod against an offer, if there is such an offer. It is not asked
    what came of that: the log tells."""
    try:
        reply = await cluster.ask("GET", f"{_OFFERS}/offers/{args['offer']}")
        node = orjson.loads(reply.body).get("spec", {}).get("nodeName")
        if node:
            path = f"{_CORE}{_PODS}/{args['name']}/binding"
            await cluster.ask("POST", path, _binding(args, node))
    except Unreachable:
        return


def _binding(args: Args, node: str) -> Doc:
    told = {"scheduling.longshore.io/offer": args["offer"]}
    return {
        "apiVersion": "v1", "kind": "Binding",
        "metadata": {"name": args["name"], "annotations": told},
        "target": {"kind": "Node", "name": node},
    }  # fmt: skip


ASKS: Mapping[str, Callable[[Args], Ask]] = {
    "create group": _group,
    "create member": _member,
    "create cluster queue": _cluster_queue,
    "create local queue": _local_queue,
    "create queued pod": _queued,
    "ask for an offer": _offer,
    "create pod of another scheduler": _foreign,
}
