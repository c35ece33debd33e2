"""What controllers tell of what they do, in upstream's words: reason, type, source and message.

Facts: the recorders of pkg/controller of Kubernetes 1.37, package by package.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind

from .jobs import job
from .world import World, deployment, new_image, running

Deed = Callable[[World], Awaitable[None]]
TEMPLATE: Doc = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "one"}]},
}
SELECTED: Doc = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}


async def make(world: World, kind: Kind, **spec: Any) -> None:
    await world.create(kind, {"metadata": {"name": "web"}, "spec": spec})
    await world.play()


async def full(world: World, kind: Kind, **spec: Any) -> None:
    """Made where no pod may be."""
    await world.create(
        kinds.RESOURCE_QUOTA, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    )
    await world.quiet()
    await make(world, kind, **spec)


async def rolled(world: World) -> None:
    await world.create(kinds.DEPLOYMENT, deployment(replicas=2))
    await world.play()
    await world.patch(kinds.DEPLOYMENT, "web", new_image("two"))
    await world.play()


async def shrunk(world: World, kind: Kind, **spec: Any) -> None:
    await make(world, kind, replicas=2, **spec)
    await world.patch(kind, "web", {"spec": {"replicas": 1}})
    await world.play()


async def failed_daemon(world: World) -> None:
    await make(world, kinds.DAEMON_SET, **SELECTED)
    name = world.pods()[0]["metadata"]["name"]
    await world.patch(kinds.POD, name, {"status": {"phase": "Failed"}}, "status")
    await world.play()


async def finished_job(world: World, phase: str, **spec: Any) -> None:
    await world.create(kinds.JOB, job("web", **spec))
    await world.quiet()
    name = world.pods()[0]["metadata"]["name"]
    await world.patch(kinds.POD, name, {"status": {"phase": phase}}, "status")
    await world.quiet()


async def resumed_job(world: World) -> None:
    await world.create(kinds.JOB, job("web"))
    for suspend in (True, False):
        await world.quiet()
        await world.patch(kinds.JOB, "web", {"spec": {"suspend": suspend}})
    await world.quiet()


async def late_job(world: World) -> None:
    await world.create(kinds.JOB, job("web", activeDeadlineSeconds=5))
    await world.quiet()
    await world.clock.advance(6)
    await world.play()


async def cron_job(world: World) -> None:
    await world.create(
        kinds.CRON_JOB,
        {
            "metadata": {"name": "web"},
            "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job("web")["spec"]}},
        },
    )
    await world.quiet()
    await world.clock.advance(61)
    await world.quiet()
    name = world.pods()[0]["metadata"]["name"]
    await world.patch(kinds.POD, name, {"status": {"phase": "Succeeded"}}, "status")
    await world.quiet()


async def silent_node(world: World) -> None:
    await world.create(kinds.DEPLOYMENT, deployment(replicas=2))
    await world.play()
    for _ in range(35):
        await world.renew("n0")
        await world.clock.advance(10)
    await world.quiet()


async def returning_node(world: World) -> None:
    await world.create(kinds.DEPLOYMENT, deployment(replicas=2))
    await world.play()
    for _ in range(7):
        await world.renew("n0")
        await world.clock.advance(10)
    await world.report(world.get(kinds.NODE, "n1"))
    await world.quiet()


async def removed_node(world: World) -> None:
    await world.delete(kinds.NODE, "n1")
    await world.quiet()


async def empty_budget(world: World) -> None:
    await make(world, kinds.PDB, selector={"matchLabels": {"app": "web"}}, maxUnavailable=1)


async def unbound_claim(world: World) -> None:
    size = {"requests": {"storage": "1Gi"}}
    await make(world, kinds.PVC, accessModes=["ReadWriteOnce"], resources=size, storageClassName="")


async def strange_owner(world: World) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "7"}
    await world.create(
        kinds.CLUSTER_ROLE, {"metadata": {"name": "web", "ownerReferences": [owner]}}
    )
    await world.quiet()
    assert not world.missing(kinds.CLUSTER_ROLE, "web"), "kept: its owner cannot be looked up"


STATEFUL = {**SELECTED, "serviceName": "web"}
CLAIM: Doc = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
QUOTA = r"pods \"?web-\S+ is forbidden: exceeded quota: none, .*"

TOLD: dict[str, tuple[Deed, str, str, str, str]] = {
    "deployment up": (
        rolled, "deployment-controller", "Normal", "ScalingReplicaSet",
        r"Scaled up replica set web-\w+ from 0 to 2",
    ),
    "deployment down": (
        rolled, "deployment-controller", "Normal", "ScalingReplicaSet",
        r"Scaled down replica set web-\w+ from 2 to 1",
    ),
    "replicaset create": (
        rolled, "replicaset-controller", "Normal", "SuccessfulCreate", r"Created pod: web-\w+-\w+",
    ),
    "replicaset delete": (
        rolled, "replicaset-controller", "Normal", "SuccessfulDelete", r"Deleted pod: web-\w+-\w+",
    ),
    "replicaset refused": (
        lambda world: full(world, kinds.REPLICA_SET, replicas=1, **SELECTED),
        "replicaset-controller", "Warning", "FailedCreate", f"Error creating: {QUOTA}",
    ),
    "replication controller": (
        lambda world: make(
            world, kinds.REPLICATION_CONTROLLER, replicas=1, selector={"app": "web"},
            template=TEMPLATE,
        ),
        "replication-controller", "Normal", "SuccessfulCreate", r"Created pod: web-\w+",
    ),
    "statefulset create": (
        lambda world: make(world, kinds.STATEFUL_SET, **STATEFUL),
        "statefulset-controller", "Normal", "SuccessfulCreate",
        "create Pod web-0 in StatefulSet web successful",
    ),
    "statefulset claim": (
        lambda world: make(world, kinds.STATEFUL_SET, **STATEFUL, volumeClaimTemplates=[CLAIM]),
        "statefulset-controller", "Normal", "SuccessfulCreate",
        "create Claim data-web-0 Pod web-0 in StatefulSet web success",
    ),
    "statefulset delete": (
        lambda world: shrunk(world, kinds.STATEFUL_SET, **STATEFUL),
        "statefulset-controller", "Normal", "SuccessfulDelete",
        "delete Pod web-1 in StatefulSet web successful",
    ),
    "statefulset refused": (
        lambda world: full(world, kinds.STATEFUL_SET, **STATEFUL),
        "statefulset-controller", "Warning", "FailedCreate",
        f"create Pod web-0 in StatefulSet web failed error: {QUOTA}",
    ),
    "daemonset create": (
        lambda world: make(world, kinds.DAEMON_SET, **SELECTED),
        "daemonset-controller", "Normal", "SuccessfulCreate", r"Created pod: web-\w+",
    ),
    "daemonset failed": (
        failed_daemon, "daemonset-controller", "Warning", "FailedDaemonPod",
        r"Found failed daemon pod default/web-\w+ on node n\d, will try to kill it",
    ),
    "daemonset delete": (
        failed_daemon, "daemonset-controller", "Normal", "SuccessfulDelete",
        r"Deleted pod: web-\w+",
    ),
    "job create": (
        resumed_job, "job-controller", "Normal", "SuccessfulCreate", r"Created pod: web-\w+",
    ),
    "job complete": (
        lambda world: finished_job(world, "Succeeded"),
        "job-controller", "Normal", "Completed", "Job completed",
    ),
    "job failed": (
        lambda world: finished_job(world, "Failed", backoffLimit=0),
        "job-controller", "Warning", "BackoffLimitExceeded",
        "Job has reached the specified backoff limit",
    ),
    "job late": (
        late_job, "job-controller", "Warning", "DeadlineExceeded",
        "Job was active longer than specified deadline",
    ),
    "job suspended": (resumed_job, "job-controller", "Normal", "Suspended", "Job suspended"),
    "job resumed": (resumed_job, "job-controller", "Normal", "Resumed", "Job resumed"),
    "job delete": (
        resumed_job, "job-controller", "Normal", "SuccessfulDelete", r"Deleted pod: web-\w+",
    ),
    "cronjob create": (
        cron_job, "cronjob-controller", "Normal", "SuccessfulCreate", r"Created job web-\d+",
    ),
    "cronjob saw": (
        cron_job, "cronjob-controller", "Normal", "SawCompletedJob",
        r"Saw completed job: web-\d+, condition: Complete",
    ),
    "node new": (
        silent_node, "node-controller", "Normal", "RegisteredNode",
        "Node n1 event: Registered Node n1 in Controller",
    ),
    "node gone": (
        removed_node, "node-controller", "Normal", "RemovingNode",
        "Node n1 event: Removing Node n1 from Controller",
    ),
    "node silent": (
        silent_node, "node-controller", "Normal", "NodeNotReady",
        "Node n1 status is now: NodeNotReady",
    ),
    "pod of a silent node": (
        silent_node, "node-controller", "Warning", "NodeNotReady", "Node is not ready",
    ),
    "pod evicted": (
        silent_node, "taint-eviction-controller", "Normal", "TaintManagerEviction",
        r"Marking for deletion Pod default/web-\w+-\w+",
    ),
    "pod spared": (
        returning_node, "taint-eviction-controller", "Normal", "TaintManagerEviction",
        r"Cancelling deletion of Pod default/web-\w+-\w+",
    ),
    "budget without pods": (
        empty_budget, "controllermanager", "Normal", "NoPods", "No matching pods found",
    ),
    "claim unbound": (
        unbound_claim, "persistentvolume-controller", "Normal", "FailedBinding",
        "no persistent volumes available for this claim and no storage class is set",
    ),
    "owner of another namespace": (
        strange_owner, "garbage-collector-controller", "Warning", "OwnerRefInvalidNamespace",
        r"ownerRef \[v1/Pod, namespace: , name: web, uid: 7\] does not exist in namespace \"\"",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
async def test_what_is_told(case: str) -> None:
    deed, source, kind, reason, message = TOLD[case]
    async with running() as world:
        await deed(world)
        await world.clock.advance(1)
        told = [
            one
            for one in world.cache.all(kinds.EVENT)
            if (one["type"], one["reason"], one["source"]["component"]) == (kind, reason, source)
        ]
        matching = [one for one in told if re.fullmatch(message, one["message"])]
        assert matching, [one["message"] for one in world.cache.all(kinds.EVENT)]
        assert all(one["reportingComponent"] == source for one in matching)
