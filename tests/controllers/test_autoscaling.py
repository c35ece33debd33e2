"""HorizontalPodAutoscalers in a running world: what pods use is played, all else is real."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.errors import Forbidden
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client, Operation, Update
from longshore.core.streams.samples import NodeSample, PodSample, Use
from longshore.core.streams.series import Series
from longshore.machinery.controllers.autoscaling.metrics import AutoscalerMetrics
from longshore.machinery.controllers.run_all import ControllerConfig

from ..passing import PassingClient
from .world import Controllers, World, condition, deployment, running


class Load:
    """What the pods of a world use: together so many thousandths of a core, shared by those that run."""

    def __init__(self) -> None:
        self.milli = 0
        self.containers: tuple[str, ...] = ("c",)
        self.series: list[tuple[str, dict[str, str], float]] = []
        self.silent = False
        self.world: World | None = None

    async def of_nodes(self, names: Iterable[str]) -> Mapping[str, NodeSample]:
        assert self.world is not None
        if self.silent:
            return {}
        now = self.world.clock.now()
        pods = [one for one in self.world.pods() if one["status"].get("phase") == "Running"]
        share = self.milli * 1_000_000 // max(1, len(pods) * len(self.containers))
        uses = dict.fromkeys(self.containers, Use(share, 1 << 20))
        each = {one["metadata"]["uid"]: _sample(one, now, uses) for one in pods}
        first = min(names, default="")
        return {first: NodeSample(first, now, 10.0, None, each)}

    async def of_pods(self, namespace: str, pods: Iterable[str], metric: str) -> Sequence[Series]:
        return [one for one in await self.of_namespace(namespace, metric) if one.pod in set(pods)]

    async def of_namespace(self, namespace: str, metric: str) -> Sequence[Series]:
        assert self.world is not None
        now = self.world.clock.now()
        return [Series(pod, labels, value, now, 15.0) for pod, labels, value in self.series]

    def known(self) -> Iterable[str]:
        return ()


def _sample(pod: Doc, now: float, uses: Mapping[str, Use]) -> PodSample:
    metadata = pod["metadata"]
    return PodSample(metadata["namespace"], metadata["name"], metadata["uid"], now, 10.0, uses)


def web(replicas: int = 2, request: str = "100m") -> Doc:
    doc = deployment("web", replicas)
    (container,) = doc["spec"]["template"]["spec"]["containers"]
    container["resources"] = {"requests": {"cpu": request, "memory": "1Mi"}}
    return doc


def cpu(percent: int = 50) -> Doc:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def autoscaler(name: str = "web", *metrics: Doc, **spec: Any) -> Doc:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    body = {"scaleTargetRef": ref, "minReplicas": 1, "maxReplicas": 10, **spec}
    return {"metadata": {"name": name}, "spec": {**body, "metrics": [*metrics] or [cpu()]}}


@asynccontextmanager
async def scaling() -> AsyncIterator[tuple[World, Load]]:
    load, counted = Load(), AutoscalerMetrics()
    config = ControllerConfig(samples=load, exposed=load, autoscalers=counted)
    async with running(config, nodes=3) as world:
        load.world = world
        yield world, load


async def pass_time(world: World, seconds: float) -> None:
    """Let time go on while the nodes live and their agents act."""
    for _ in range(int(seconds / 5)):
        await world.clock.advance(5)
        for name in ("n0", "n1", "n2"):
            await world.renew(name)
        await world.play(10)


def replicas(world: World) -> int:
    return int(world.get(kinds.DEPLOYMENT, "web")["spec"]["replicas"])


def shown(world: World, type_: str, name: str = "web") -> tuple[str, str, str]:
    one = condition(world.get(kinds.HPA, name), type_)
    return one["status"], one["reason"], one["message"]


async def started(world: World, hpa: Doc, replicas: int = 2) -> None:
    """A Deployment that has run long enough for its use of CPUs to count, and its autoscaler."""
    await world.create(kinds.DEPLOYMENT, web(replicas))
    await world.play()
    await pass_time(world, 20)
    await world.create(kinds.HPA, hpa)
    await world.quiet()


async def test_a_load_that_rises_and_falls_is_followed() -> None:
    async with scaling() as (world, load):
        load.milli = 100
        await started(world, autoscaler())
        assert replicas(world) == 2
        load.milli = 340
        await pass_time(world, 15)
        assert replicas(world) == 4, "no more than double at a time"
        await pass_time(world, 45)
        assert replicas(world) == 7
        status = world.get(kinds.HPA, "web")["status"]
        current = {"averageUtilization": 49, "averageValue": "49m"}
        assert status["currentMetrics"] == [
            {"type": "Resource", "resource": {"name": "cpu", "current": current}}
        ]
        assert (status["currentReplicas"], status["desiredReplicas"]) == (7, 7)
        load.milli = 60
        await pass_time(world, 240)
        assert replicas(world) == 7, "five minutes of the highest recommendation"
        assert shown(world, "AbleToScale")[1] == "ScaleDownStabilized"
        await pass_time(world, 120)
        assert replicas(world) == 2
        assert "New size: 2; reason: All metrics below target" in world.events("SuccessfulRescale")
        told = "New size: 4; reason: cpu resource utilization (percentage of request) above target"
        assert told in world.events("SuccessfulRescale")


async def test_conditions_say_what_is_done() -> None:
    async with scaling() as (world, load):
        load.milli = 100
        await started(world, autoscaler())
        able = "recommended size matches current size"
        assert shown(world, "AbleToScale") == ("True", "ReadyForNewScale", able)
        found = (
            "the HPA was able to successfully calculate a replica count from cpu resource "
            "utilization (percentage of request)"
        )
        assert shown(world, "ScalingActive") == ("True", "ValidMetricFound", found)
        within = "the desired count is within the acceptable range"
        assert shown(world, "ScalingLimited") == ("False", "DesiredWithinRange", within)
        load.milli = 9000
        await pass_time(world, 15)
        fast = "the desired replica count is increasing faster than the maximum scale rate"
        assert shown(world, "ScalingLimited") == ("True", "ScaleUpLimit", fast)
        updated = "the HPA controller was able to update the target scale to 4"
        assert shown(world, "AbleToScale") == ("True", "SucceededRescale", updated)
        await pass_time(world, 90)
        assert replicas(world) == 10
        many = "the desired replica count is more than the maximum replica count"
        assert shown(world, "ScalingLimited") == ("True", "TooManyReplicas", many)


async def test_only_the_status_is_written() -> None:
    async with scaling() as (world, load):
        load.milli = 100
        hpa = autoscaler()
        own = {"annotations": {"a": "b"}, "labels": {"c": "d"}, "finalizers": ["example.com/e"]}
        hpa["metadata"] |= own
        await started(world, hpa)
        await pass_time(world, 30)
        load.silent = True
        await pass_time(world, 30)
        there = world.get(kinds.HPA, "web")
        assert {key: there["metadata"][key] for key in own} == own
        assert there["status"]["currentMetrics"] == [{"type": ""}]
        await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"replicas": 0}})
        await pass_time(world, 30)
        status = world.get(kinds.HPA, "web")["status"]
        assert status.keys() == {"conditions", "desiredReplicas"}


async def test_without_metrics_nothing_is_done() -> None:
    async with scaling() as (world, load):
        load.silent = True
        await started(world, autoscaler())
        why = (
            "failed to get cpu utilization: unable to get metrics for resource cpu: "
            "no metrics returned from resource metrics API"
        )
        unable = f"the HPA was unable to compute the replica count: {why}"
        assert shown(world, "ScalingActive") == ("False", "FailedGetResourceMetric", unable)
        assert world.events("FailedGetResourceMetric") == [why]
        assert world.events("FailedComputeMetricsReplicas") == [
            "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource "
            f"metric value: {why}"
        ]
        assert replicas(world) == 2


async def test_bounds_hold_without_metrics() -> None:
    async with scaling() as (world, load):
        load.silent = True
        await started(world, autoscaler(minReplicas=4))
        assert replicas(world) == 4
        reason = "Current number of replicas below Spec.MinReplicas"
        assert world.events("SuccessfulRescale") == [f"New size: 4; reason: {reason}"]
        await world.patch(kinds.HPA, "web", {"spec": {"minReplicas": 1, "maxReplicas": 3}})
        await world.quiet()
        assert replicas(world) == 3, "a changed spec is looked at at once"
        assert world.get(kinds.HPA, "web")["status"]["desiredReplicas"] == 3


async def test_a_target_of_zero_is_left_alone() -> None:
    async with scaling() as (world, load):
        load.milli = 500
        await started(world, autoscaler(), replicas=0)
        off = "scaling is disabled since the replica count of the target is zero"
        assert shown(world, "ScalingActive") == ("False", "ScalingDisabled", off)
        await pass_time(world, 30)
        assert replicas(world) == 0


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gone"},
            'deployments.apps "gone" not found',
        ),
        (
            {"apiVersion": "apps/v1", "kind": "Nothing", "name": "web"},
            'no matches for kind "Nothing" in group "apps"',
        ),
        (
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web"},
            "the server could not find the requested resource",
        ),
    ],
)
async def test_what_cannot_be_scaled_is_told(reference: Doc, why: str) -> None:
    async with scaling() as (world, _):
        await world.create(kinds.HPA, autoscaler(scaleTargetRef=reference))
        await world.quiet()
        text = f"the HPA controller was unable to get the target's current scale: {why}"
        assert shown(world, "AbleToScale") == ("False", "FailedGetScale", text)
        assert world.events("FailedGetScale") == [why]


async def test_two_of_the_same_pods_scale_neither() -> None:
    async with scaling() as (world, load):
        load.milli = 600
        await world.create(kinds.DEPLOYMENT, web(1))
        await world.play()
        await world.create(kinds.HPA, autoscaler("one"))
        await world.create(kinds.HPA, autoscaler("two"))
        await pass_time(world, 20)
        why = "pods by selector app=web are controlled by multiple HPAs: [default/one default/two]"
        for name in ("one", "two"):
            assert shown(world, "ScalingActive", name) == ("False", "AmbiguousSelector", why)
        await world.delete(kinds.HPA, "two")
        await pass_time(world, 60)
        assert shown(world, "ScalingActive", "one")[1] == "ValidMetricFound"
        assert replicas(world) > 1


async def test_one_container_of_each_pod() -> None:
    target = {"type": "Utilization", "averageUtilization": 50}
    source = {"name": "cpu", "container": "c", "target": target}
    async with scaling() as (world, load):
        load.milli, load.containers = 400, ("c", "sidecar")
        metric = {"type": "ContainerResource", "containerResource": source}
        await started(world, autoscaler("web", metric))
        assert replicas(world) == 4
        (status,) = world.get(kinds.HPA, "web")["status"]["currentMetrics"]
        assert status["containerResource"]["current"]["averageUtilization"] == 100
        load.containers = ("sidecar",)
        await pass_time(world, 15)
        assert shown(world, "ScalingActive")[1] == "FailedGetContainerResourceMetric"
        assert (
            "container c not present in metrics for pod default/"
            in shown(world, "ScalingActive")[2]
        )


def of_metric(kind: str, name: str, target: Doc, **more: Any) -> Doc:
    field = kind[0].lower() + kind[1:]
    return {"type": kind, field: {"metric": {"name": name}, "target": target, **more}}


async def test_the_largest_of_several_metrics_counts() -> None:
    each = {"type": "AverageValue", "averageValue": "10"}
    service = {"apiVersion": "v1", "kind": "Service", "name": "front"}
    metrics = (
        cpu(),
        of_metric("Pods", "requests", each),
        of_metric("Object", "hits", {"type": "Value", "value": "100"}, describedObject=service),
        of_metric("External", "queue", {"type": "AverageValue", "averageValue": "30"}),
    )
    async with scaling() as (world, load):
        load.milli = 100
        await world.create(kinds.DEPLOYMENT, web())
        await world.play()
        await pass_time(world, 20)
        load.series = [(pod["metadata"]["name"], {}, 10.0) for pod in world.pods()]
        load.series.append(("other", {"service": "front"}, 100.0))
        await world.create(kinds.HPA, autoscaler("web", *metrics))
        await world.quiet()
        assert replicas(world) == 4, "120 in the queue, 30 each"
        status = world.get(kinds.HPA, "web")["status"]["currentMetrics"]
        assert status[1]["pods"]["current"] == {"averageValue": "10"}
        assert status[2]["object"]["current"] == {"value": "100"}
        assert status[2]["object"]["describedObject"] == service
        assert status[3]["external"]["current"] == {"averageValue": "60"}
        assert world.events("SuccessfulRescale") == [
            "New size: 4; reason: external metric queue(nil) above target"
        ]


async def test_while_a_metric_is_missing_nothing_is_scaled_down() -> None:
    queue = of_metric("External", "queue", {"type": "Value", "value": "30"})
    async with scaling() as (world, load):
        load.milli = 20
        await started(world, autoscaler("web", cpu(), queue))
        await pass_time(world, 400)
        assert replicas(world) == 2
        assert shown(world, "ScalingActive")[1] == "FailedGetExternalMetric"
        load.milli = 300
        await pass_time(world, 15)
        assert replicas(world) == 4, "but up"
        assert shown(world, "ScalingActive")[1] == "ValidMetricFound"
        load.milli, load.series = 20, [("other", {}, 1.0)]
        await pass_time(world, 400)
        assert replicas(world) == 1


async def test_a_behavior_sets_the_pace() -> None:
    up = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    down = {"stabilizationWindowSeconds": 0, "selectPolicy": "Disabled"}
    async with scaling() as (world, load):
        load.milli = 1000
        await started(world, autoscaler(behavior={"scaleUp": up, "scaleDown": down}))
        assert replicas(world) == 3
        await pass_time(world, 40)
        assert replicas(world) == 3
        await pass_time(world, 40)
        assert replicas(world) == 4
        load.milli = 10
        await pass_time(world, 120)
        assert replicas(world) == 4
        slow = "the desired replica count is decreasing faster than the maximum scale rate"
        assert shown(world, "ScalingLimited") == ("True", "ScaleDownLimit", slow)


async def test_a_tolerance_of_its_own() -> None:
    async with scaling() as (world, load):
        load.milli = 110
        await started(world, autoscaler())
        assert replicas(world) == 2, "a tenth more is within the usual tolerance"
        await world.patch(
            kinds.HPA, "web", {"spec": {"behavior": {"scaleUp": {"tolerance": "5m"}}}}
        )
        await world.quiet()
        assert replicas(world) == 3


class Refusing(PassingClient):
    """A Client whose user may not scale anything, as long as that is so."""

    refuses = True

    async def write(self, operation: Operation) -> Doc:
        if self.refuses and isinstance(operation, Update) and operation.subresource == "scale":
            raise Forbidden("nobody may scale web now")
        return await self.client.write(operation)


async def test_what_is_refused_is_told_and_tried_again() -> None:
    clients: list[Refusing] = []

    async def manager(controllers: Controllers, client: Client) -> None:
        clients.append(Refusing(client))
        await controllers(clients[0])

    async with running(ControllerConfig(), nodes=3, manager=manager) as world:
        await world.create(kinds.DEPLOYMENT, web(1))
        await world.create(kinds.HPA, autoscaler(minReplicas=3))
        await world.quiet()
        text = "the HPA controller was unable to update the target scale: nobody may scale web now"
        assert shown(world, "AbleToScale") == ("False", "FailedUpdateScale", text)
        reason = "Current number of replicas below Spec.MinReplicas"
        told = f"New size: 3; reason: {reason}; error: nobody may scale web now"
        assert world.events("FailedRescale") == [told]
        status = world.get(kinds.HPA, "web")["status"]
        assert (status["currentReplicas"], status["desiredReplicas"]) == (1, 0)
        assert "lastScaleTime" not in status
        clients[0].refuses = False
        await pass_time(world, 15)
        assert replicas(world) == 3
        assert "lastScaleTime" in world.get(kinds.HPA, "web")["status"]


async def test_statefulsets_are_scaled_too_and_a_deleted_autoscaler_is_forgotten() -> None:
    doc = {**web(1), "spec": {**web(1)["spec"], "serviceName": "web"}}
    ref = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    async with scaling() as (world, load):
        load.milli = 200
        await world.create(kinds.STATEFUL_SET, doc)
        await world.play()
        await pass_time(world, 20)
        await world.create(kinds.HPA, autoscaler(scaleTargetRef=ref))
        await pass_time(world, 30)
        assert world.get(kinds.STATEFUL_SET, "web")["spec"]["replicas"] == 4
        await world.delete(kinds.HPA, "web")
        load.milli = 2000
        await pass_time(world, 60)
        assert world.get(kinds.STATEFUL_SET, "web")["spec"]["replicas"] == 4
