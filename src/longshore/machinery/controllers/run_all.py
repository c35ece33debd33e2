"""All controllers, put together: one call for whoever composes a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects.kinds import KINDS
from longshore.core.pki.authority import Authority
from longshore.core.registry.client import Client
from longshore.core.registry.wishes import Wish
from longshore.core.streams.samples import NoSamples, Samples
from longshore.core.streams.series import Exposed, NothingExposed
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.accounttokens.plan import Sign
from longshore.machinery.controllers.accounttokens.run import AccountTokens
from longshore.machinery.controllers.addresses.run import ServiceAddresses
from longshore.machinery.controllers.aggregation.run import RoleAggregation
from longshore.machinery.controllers.autoscaling.metrics import AutoscalerMetrics
from longshore.machinery.controllers.autoscaling.run import Autoscalers
from longshore.machinery.controllers.autoscaling.sources import Sources
from longshore.machinery.controllers.certificates.run import CertificateRequests, Permits
from longshore.machinery.controllers.certificates.tokens import BootstrapTokenCleaner
from longshore.machinery.controllers.cronjob.run import CronJobs
from longshore.machinery.controllers.daemonset.run import DaemonSets
from longshore.machinery.controllers.deployment.run import Deployments
from longshore.machinery.controllers.devicetaints.run import DeviceTaints
from longshore.machinery.controllers.disruption.run import DisruptionBudgets
from longshore.machinery.controllers.endpoints.run import Endpoints
from longshore.machinery.controllers.gc.pods import PodCollector
from longshore.machinery.controllers.gc.run import GarbageCollector
from longshore.machinery.controllers.job.metrics import JobMetrics
from longshore.machinery.controllers.job.run import Jobs
from longshore.machinery.controllers.mirroring.run import EndpointMirrors
from longshore.machinery.controllers.namespace.defaults import NamespaceDefaults
from longshore.machinery.controllers.namespace.run import Namespaces
from longshore.machinery.controllers.nodes.metrics import NodeMetrics
from longshore.machinery.controllers.nodes.plan import NodeRules
from longshore.machinery.controllers.nodes.run import NodeLifecycle
from longshore.machinery.controllers.protection.run import StorageProtection
from longshore.machinery.controllers.quota.run import ResourceQuotas
from longshore.machinery.controllers.ranges.run import PodRanges
from longshore.machinery.controllers.replicaset.run import ReplicaSets, ReplicationControllers
from longshore.machinery.controllers.resourceclaims.run import ResourceClaims
from longshore.machinery.controllers.statefulset.run import StatefulSets
from longshore.machinery.controllers.ttl.run import FinishedJobs
from longshore.machinery.controllers.usage.run import Usage, UsageMetrics
from longshore.machinery.controllers.volumes.ephemeral import EphemeralVolumes
from longshore.machinery.controllers.volumes.run import VolumeBinder
from longshore.machinery.loop.loop import Loop, Reconciler
from longshore.machinery.loop.metrics import WorkQueues
from longshore.machinery.loop.recorder import Journal, Recorder

QUEUES = {
    "bootstrap-token-cleaner": "token_cleaner",
    "certificate-requests": "certificate",
    "clusterrole-aggregation": "ClusterRoleAggregator",
    "device-taint-eviction": "device_taint_eviction",
    "endpoints": "endpoint_slice",
    "endpointslice-mirroring": "endpoint_slice_mirroring",
    "ephemeral-volume": "ephemeral_volume",
    "gc": "garbage_collector_attempt_to_delete",
    "horizontal-pod-autoscaler": "horizontalpodautoscaler",
    "namespace-defaults": "serviceaccount",
    "node-lifecycle": "node_lifecycle_controller",
    "persistentvolume-binder": "claims",
    "pod-gc": "orphaned_pods_nodes",
    "replicationcontroller": "replicationmanager",
    "resource-claim": "resource_claim",
    "resourcequota": "resourcequota_primary",
    "service-account-tokens": "serviceaccount_tokens_service",
    "storage-protection": "pvcprotection",
    "ttl-after-finished": "ttl_jobs_to_delete",
}
"""Upstream's names of queues, where they are not our controllers'."""


async def _nobody(_who: User, _wish: Wish) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class ControllerConfig:
    """authority: the cluster's own, which signs requests and whose certificate every namespace has
    (None: neither). sign: makes tokens for Secrets (None: nobody does). permits: who may do what, asked before a request is approved.
    finished_pods_max: finished pods beyond this are collected. node_gone_s: how long a node must
    be gone before its pods are. jobs: where they are counted. queues, zones,
    autoscalers: likewise. samples: what pods use; exposed: what they say of themselves.
    usage: where it is counted what is kept of what is used (None: nothing is)."""

    authority: Authority | None = None
    sign: Sign | None = None
    permits: Permits = _nobody
    nodes: NodeRules = field(default_factory=NodeRules)
    finished_pods_max: int = 12_500
    node_gone_s: float = 40.0
    jobs: JobMetrics = field(default_factory=JobMetrics)
    samples: Samples = field(default_factory=NoSamples)
    exposed: Exposed = field(default_factory=NothingExposed)
    autoscalers: AutoscalerMetrics = field(default_factory=AutoscalerMetrics)
    queues: WorkQueues = field(default_factory=WorkQueues)
    zones: NodeMetrics = field(default_factory=NodeMetrics)
    usage: UsageMetrics | None = None


def build(
    cache: Cache,
    client: Client,
    clock: Clock,
    chance: Chance,
    recorder: Recorder,
    config: ControllerConfig,
) -> list[Loop[Any]]:
    """A loop for each controller, ready to run."""
    reconcilers: tuple[Reconciler[Any], ...] = (
        Deployments(cache, client, clock, recorder),
        ReplicaSets(cache, client, clock, recorder),
        ReplicationControllers(cache, client, clock, recorder),
        Jobs(cache, client, clock, recorder, config.jobs),
        CronJobs(cache, client, clock, recorder, config.jobs),
        FinishedJobs(cache, client, clock),
        StatefulSets(cache, client, clock, recorder),
        DaemonSets(cache, client, clock, recorder),
        Endpoints(cache, client),
        EndpointMirrors(cache, client, recorder),
        DisruptionBudgets(cache, client, clock, recorder, KINDS),
        Namespaces(cache, client, clock, KINDS.stored),
        NamespaceDefaults(cache, client, config.authority),
        GarbageCollector(cache, client, recorder, KINDS),
        RoleAggregation(cache, client),
        PodCollector(cache, client, clock, config.finished_pods_max, config.node_gone_s),
        NodeLifecycle(cache, client, clock, recorder, config.nodes, config.zones),
        StorageProtection(cache, client),
        VolumeBinder(cache, client, clock, recorder),
        EphemeralVolumes(cache, client, recorder),
        ResourceClaims(cache, client, recorder),
        DeviceTaints(cache, client, clock, recorder),
        ServiceAddresses(cache, client, clock),
        ResourceQuotas(cache, client, clock, KINDS.stored),
        PodRanges(cache, client),
        _autoscalers(cache, client, clock, recorder, config),
        *_certificates(cache, client, clock, config),
    )
    loops = [Loop(one, cache, clock, chance) for one in reconcilers]
    for loop in loops:
        loop.counted_by(config.queues.meter(QUEUES.get(loop.name, loop.name)))
    return loops


def _autoscalers(
    cache: Cache, client: Client, clock: Clock, recorder: Recorder, config: ControllerConfig
) -> Reconciler[Any]:
    sources = Sources(config.samples, config.exposed, KINDS)
    return Autoscalers(cache, client, clock, recorder, sources, config.autoscalers)


def _certificates(
    cache: Cache, client: Client, clock: Clock, config: ControllerConfig
) -> tuple[Reconciler[Any], ...]:
    if config.authority is None:
        return ()
    made: tuple[Reconciler[Any], ...] = (
        CertificateRequests(cache, client, clock, config.authority, config.permits),
        BootstrapTokenCleaner(cache, client, clock),
    )
    if config.sign is None:
        return made
    return (*made, AccountTokens(cache, client, config.authority, config.sign))


async def run_controllers(
    cache: Cache,
    client: Client,
    clock: Clock,
    chance: Chance,
    journal: Journal,
    config: ControllerConfig,
) -> None:
    """Run all controllers until cancelled. The journal is run by whoever made it."""
    recorder = journal.recorder("controllers")
    async with asyncio.TaskGroup() as crew:
        for loop in build(cache, client, clock, chance, recorder, config):
            crew.create_task(loop.run(), name=f"{loop.name} controller")
        if config.usage is not None:
            usage = Usage(cache, client, clock, config.samples, config.usage)
            crew.create_task(usage.run(), name="usage")
