"""The autoscaler of nodes in a running world: a real registry, scheduler and controllers, hollow nodes."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.nodegroups import taints
from longshore.machinery.controllers.nodegroups.rules import ScalingRules

from .world import deployment
from .yard import Kind, Scaled, scaled


def asking(cpu: str, name: str = "web", replicas: int = 3, **more: Any) -> Doc:
    """A Deployment whose pods ask for so much."""
    made = deployment(name, replicas)
    container = {"name": "c", "image": "one", "resources": {"requests": {"cpu": cpu}}}
    made["spec"]["template"]["spec"] = {"containers": [container], **more}
    return made


async def scale(one: Scaled, replicas: int, name: str = "web") -> None:
    await one.world.patch(kinds.DEPLOYMENT, name, {"spec": {"replicas": replicas}})


def running(one: Scaled) -> int:
    return sum((pod.get("status") or {}).get("phase") == "Running" for pod in one.world.pods())


async def test_pods_without_a_place_get_nodes() -> None:
    async with scaled() as one:
        await one.world.create(kinds.DEPLOYMENT, asking("3", replicas=4))
        await one.after(1)
        assert one.yard.calls == ["increase local 2"]
        told = one.world.events("TriggeredScaleUp")
        assert told == ["pod triggered scale-up: [{local 2->4 (max: 6)}]"] * 2
        await one.after(30)
        assert one.names() == ["local-1", "local-2", "local-3", "local-4"]
        assert running(one) == 4
        # What is coming counts: nothing was asked for twice.
        assert one.yard.calls == ["increase local 2"]


async def test_never_above_the_maximum() -> None:
    async with scaled(kinds_={"local": Kind(most=3)}) as one:
        await one.world.create(kinds.DEPLOYMENT, asking("3", replicas=9))
        await one.after(60)
        assert one.names() == ["local-1", "local-2", "local-3"] and running(one) == 3
        told = set(one.world.events("NotTriggerScaleUp"))
        assert told == {"pod didn't trigger scale-up: 1 max node group size reached"}


async def test_pods_that_no_node_would_take_grow_nothing() -> None:
    async with scaled() as one:
        await one.world.create(kinds.DEPLOYMENT, asking("5", "huge", replicas=1))
        await one.world.create(
            kinds.DEPLOYMENT, asking("1", "far", replicas=1, nodeSelector={"zone": "moon"})
        )
        await one.after(60)
        assert one.yard.calls == []
        assert one.world.events("NotTriggerScaleUp") == [
            "pod didn't trigger scale-up: 1 Insufficient cpu",
            "pod didn't trigger scale-up: 1 node(s) didn't match Pod's node affinity/selector",
        ]


async def test_the_group_that_wastes_least() -> None:
    large = {"cpu": "16", "memory": "64Gi", "pods": "110"}
    groups = {
        "large": Kind(0, 3, large),
        "local": Kind(0, 3),
        "labelled": Kind(0, 3, large, {"gpu": "yes"}),
    }
    async with scaled({"local": 1}, groups) as one:
        await one.world.create(kinds.DEPLOYMENT, asking("3", replicas=2))
        await one.after(1)
        assert one.yard.calls == ["increase local 1"]
        await one.world.create(kinds.DEPLOYMENT, asking("12", "big", replicas=1))
        await one.after(1)
        assert one.yard.calls[1:] == ["increase labelled 1"] or one.yard.calls[1:] == [
            "increase large 1"
        ]


async def test_a_group_that_fails_is_left_alone_for_a_time() -> None:
    groups = {"local": Kind(broken="no machines left"), "other": Kind(0, 0)}
    async with scaled({"local": 1}, groups) as one:
        await one.world.create(kinds.DEPLOYMENT, asking("3", replicas=2))
        await one.after(200)
        assert one.yard.calls == ["increase local 1"]
        about = one.world.cache.all(kinds.EVENT, "kube-system")
        assert "Scale-up failed for group local: no machines left" in {e["message"] for e in about}
        one.yard.kinds["local"].broken = ""
        await one.after(150)
        assert one.yard.calls == ["increase local 1"] * 2 and running(one) == 2


async def test_machines_that_never_come_are_ended() -> None:
    async with scaled(kinds_={"local": Kind(boots=False)}) as one:
        await one.world.create(kinds.DEPLOYMENT, asking("3", replicas=3))
        await one.after(890)
        assert one.yard.calls == ["increase local 1"]
        await one.after(30)
        assert one.yard.calls[1:] == ["delete local-3"]
        await one.after(330)
        assert one.yard.calls[2:] == ["increase local 1"]


async def test_nodes_that_are_not_needed_go() -> None:
    async with scaled({"local": 3}) as one:
        await one.world.create(kinds.DEPLOYMENT, asking("1", replicas=3))
        await one.after(20)
        marked = [
            node["metadata"]["name"]
            for node in one.world.cache.all(kinds.NODE)
            if taints.has(node, taints.CANDIDATE)
        ]
        assert len(marked) == 2 and one.metrics.unneeded == 2
        await one.after(560)
        assert len(one.names()) == 3
        await one.after(120)
        assert len(one.names()) == 1 and running(one) == 3
        assert one.yard.history == [2, 1]
        assert "nodes removed by cluster autoscaler" in one.world.events("ScaleDown")
        text = one.world.get(kinds.CONFIG_MAP, "cluster-autoscaler-status", "kube-system")
        assert "cloudProviderTarget: 1" in text["data"]["status"]


async def test_after_growing_nothing_shrinks_for_a_time() -> None:
    async with scaled(rules=ScalingRules(unneeded_s=60.0)) as one:
        await one.world.create(kinds.DEPLOYMENT, asking("3", replicas=4))
        await one.after(60)
        await scale(one, 1)
        await one.after(500)
        assert len(one.names()) == 4
        await one.after(120)
        assert len(one.names()) == 1 and running(one) == 1


async def obstacle(one: Scaled, replicas: int = 1, **more: Any) -> None:
    """A small pod on one of two nodes, which is otherwise free to go."""
    await one.world.create(kinds.DEPLOYMENT, asking("100m", replicas=replicas, **more))
    await one.after(1300)


async def test_a_pod_with_local_data_keeps_its_node() -> None:
    async with scaled(kinds_={"local": Kind(least=0)}) as one:
        await obstacle(one, volumes=[{"name": "data", "emptyDir": {}}])
        assert len(one.names()) == 1 and list(one.placed()) == one.names()
        assert one.metrics.unremovable == {"LocalStorageRequested": 1}


async def test_a_pod_that_nobody_makes_again_keeps_its_node() -> None:
    async with scaled(kinds_={"local": Kind(least=0)}) as one:
        container = {"name": "c", "image": "one"}
        await one.world.create(
            kinds.POD, {"metadata": {"name": "bare"}, "spec": {"containers": [container]}}
        )
        await one.after(1300)
        assert len(one.names()) == 1 and one.metrics.unremovable == {"NotReplicated": 1}


async def test_the_last_node_keeps_pods_that_fit_nowhere_else() -> None:
    async with scaled(kinds_={"local": Kind(least=0)}) as one:
        await obstacle(one, 2)
        assert len(one.names()) == 1 and running(one) == 2


async def test_budgets_hold_nodes() -> None:
    async with scaled({"local": 1}, {"local": Kind(least=0)}) as one:
        budget = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
        await one.world.create(kinds.PDB, {"metadata": {"name": "web"}, "spec": budget})
        await obstacle(one, 2)
        assert len(one.names()) == 1 and one.metrics.unremovable == {"NotEnoughPdb": 1}


async def test_a_node_that_must_not_go_stays() -> None:
    async with scaled() as one:
        disabled = {"cluster-autoscaler.kubernetes.io/scale-down-disabled": "true"}
        for name in one.names():
            await one.world.patch(kinds.NODE, name, {"metadata": {"annotations": disabled}})
        await one.after(1300)
        assert len(one.names()) == 2
        assert one.metrics.unremovable == {"ScaleDownDisabledAnnotation": 2}


async def test_never_below_the_minimum() -> None:
    async with scaled({"local": 4}, {"local": Kind(least=3)}) as one:
        await one.after(1300)
        assert len(one.names()) == 3


async def test_what_went_does_not_come_back() -> None:
    """Where nothing is asked for anew, sizes come to rest."""
    rules = ScalingRules(unneeded_s=30.0, delay_after_add_s=30.0)
    async with scaled({"local": 6}, {"local": Kind(most=8)}, rules) as one:
        for number, (cpu, replicas) in enumerate(
            (("1500m", 3), ("700m", 4), ("2500m", 1), ("100m", 9))
        ):
            await one.world.create(kinds.DEPLOYMENT, asking(cpu, f"web-{number}", replicas))
        await one.after(600)
        assert running(one) == 17 and one.yard.history
        assert one.yard.history == sorted(one.yard.history, reverse=True)
        before = list(one.yard.calls)
        await one.after(1200)
        assert one.yard.calls == before and running(one) == 17


async def test_a_drained_node_ends_well() -> None:
    """Its pods are evicted, others take their places, DaemonSets' pods do not hold it."""
    rules = ScalingRules(unneeded_s=60.0)
    async with scaled({"local": 2}, rules=rules, asleep=True) as one:
        template = asking("100m", "agent")["spec"]["template"]
        selector = {"matchLabels": {"app": "agent"}}
        spec = {"selector": selector, "template": template}
        await one.world.create(kinds.DAEMON_SET, {"metadata": {"name": "agent"}, "spec": spec})
        apart = {"topologyKey": "kubernetes.io/hostname", "maxSkew": 1,
                 "whenUnsatisfiable": "ScheduleAnyway",
                 "labelSelector": {"matchLabels": {"app": "web"}}}  # fmt: skip
        web = asking("1", replicas=2, topologySpreadConstraints=[apart])
        await one.world.create(kinds.DEPLOYMENT, web)
        await one.after(5)
        assert one.placed() == {"local-1": 2, "local-2": 2}
        one.start()
        await one.after(180)
        assert len(one.names()) == 1 and running(one) == 3
        assert one.world.events("ScaleDown")[0] == "deleting pod for node scale down"
        assert 'scaled_down_nodes_total{reason="underutilized"} 1' in "\n".join(one.metrics.lines())


async def test_a_removal_that_a_budget_stops_is_taken_back() -> None:
    rules = ScalingRules(unneeded_s=60.0, eviction_s=30.0)
    async with scaled({"local": 2}, rules=rules, asleep=True) as one:
        apart = {"topologyKey": "kubernetes.io/hostname", "maxSkew": 1,
                 "whenUnsatisfiable": "ScheduleAnyway",
                 "labelSelector": {"matchLabels": {"app": "web"}}}  # fmt: skip
        web = asking("1", replicas=2, topologySpreadConstraints=[apart])
        await one.world.create(kinds.DEPLOYMENT, web)
        await one.after(5)
        one.start()
        await one.after(62)
        leaving = [
            n for n in one.world.cache.all(kinds.NODE) if taints.has(n, taints.TO_BE_DELETED)
        ]
        assert len(leaving) == 1
        budget = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
        await one.world.create(kinds.PDB, {"metadata": {"name": "web"}, "spec": budget})
        await one.after(60)
        (failed,) = [m for m in one.world.events("ScaleDownFailed") if "drain" in m]
        assert failed.startswith(
            "failed to drain and delete node: failed to evict pod default/web-"
        )
        assert len(one.names()) == 2 and running(one) == 2
        assert not any(taints.has(n, taints.TO_BE_DELETED) for n in one.world.cache.all(kinds.NODE))
