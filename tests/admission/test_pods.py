"""The plug-ins that complete and refuse pods, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from ..doors.rig import pod
from .rig import PODS, admitting, ask, made, make, of_spec, path_of, refused

MERGE = "application/merge-patch+json"
NOT_READY = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
             "tolerationSeconds": 300}  # fmt: skip
UNREACHABLE = {**NOT_READY, "key": "node.kubernetes.io/unreachable"}


async def test_pods_bear_a_silent_node_for_five_minutes_unless_they_say_otherwise() -> None:
    async with admitting() as api:
        assert (await made(api, pod("a")))["tolerations"] == [NOT_READY, UNREACHABLE]
        everything = [{"operator": "Exists"}]
        assert (await made(api, of_spec("b", tolerations=everything)))["tolerations"] == everything
        own = {"key": NOT_READY["key"], "operator": "Exists", "effect": "NoExecute"}
        assert (await made(api, of_spec("c", tolerations=[own])))["tolerations"] == [
            own,
            UNREACHABLE,
        ]


async def test_a_pod_may_be_replaced_by_what_was_once_sent() -> None:
    async with admitting(disable=("ServiceAccount",)) as api:
        sent = pod("a", labels={"a": "b"})
        first = (await ask(api, sent)).doc
        sent["metadata"]["labels"] = {"a": "c"}
        answer = await api("PUT", f"{PODS}/a", sent)
        assert answer.status == 200, answer.doc
        assert answer.doc["spec"] == first["spec"]


async def test_priority_is_the_classes() -> None:
    async with admitting() as api:
        named = of_spec("a", priorityClassName="system-node-critical")
        spec = await made(api, named)
        assert (spec["priority"], spec["preemptionPolicy"]) == (
            2_000_001_000,
            "PreemptLowerPriority",
        )
        computed = "priority admission controller computed {} from the given PriorityClass name"
        assert await refused(api, of_spec("b", priority=3)) == (
            "the integer value of priority (3) must not be provided in pod spec; "
            + computed.format(0)
        )
        assert await refused(api, of_spec("b", preemptionPolicy="Never")) == (
            "the string value of PreemptionPolicy (Never) must not be provided in pod spec; "
            + computed.format("PreemptLowerPriority")
        )


async def test_there_is_one_default_priority_also_after_changes() -> None:
    async with admitting() as api:
        await make(api, kinds.PRIORITY_CLASS, "usual", value=1, globalDefault=True)
        await make(api, kinds.PRIORITY_CLASS, "other", value=2)
        path = f"{path_of(kinds.PRIORITY_CLASS)}/other"
        answer = await api("PATCH", path, {"globalDefault": True}, content_type=MERGE)
        assert answer.status == 403
        assert "PriorityClass usual is already marked as default" in answer.doc["message"]
        same = f"{path_of(kinds.PRIORITY_CLASS)}/usual"
        assert (await api("PATCH", same, {"description": "d"}, content_type=MERGE)).status == 200


async def test_a_runtime_class_says_where_its_pods_run() -> None:
    async with admitting() as api:
        scheduling: dict[str, Any] = {
            "nodeSelector": {"a": "b"},
            "tolerations": [{"key": "t", "operator": "Exists"}],
        }
        await make(api, kinds.RUNTIME_CLASS, "kata", handler="kata", scheduling=scheduling)
        spec = await made(api, of_spec("a", runtimeClassName="kata"))
        assert spec["nodeSelector"] == {"a": "b"}
        assert scheduling["tolerations"][0] in spec["tolerations"]
        assert await refused(
            api, of_spec("b", runtimeClassName="kata", nodeSelector={"a": "c"})
        ) == ("conflict: runtimeClass.scheduling.nodeSelector[a] = b; pod.spec.nodeSelector[a] = c")
        assert await refused(api, of_spec("b", overhead={"cpu": "1"})) == (
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
        )


async def test_devices_bring_their_tolerations() -> None:
    async with admitting(
        "ExtendedResourceToleration", disable=("DefaultTolerationSeconds",)
    ) as api:
        amounts = {"example.com/gpu": "1", "cpu": "1"}
        resources = {"requests": amounts, "limits": amounts}
        container = {"name": "c", "image": "i", "resources": resources}
        assert (await made(api, of_spec(containers=[container])))["tolerations"] == [
            {"key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        ]


async def test_images_are_always_pulled() -> None:
    async with admitting("AlwaysPullImages") as api:
        container = {"name": "c", "image": "i", "imagePullPolicy": "Never"}
        spec = await made(
            api, of_spec(containers=[container], initContainers=[{**container, "name": "d"}])
        )
        policies = {
            one["imagePullPolicy"]
            for field in ("containers", "initContainers")
            for one in spec[field]
        }
        assert policies == {"Always"}


async def test_required_anti_affinity_is_between_hosts() -> None:
    def apart(key: str) -> Doc:
        term = {"topologyKey": key, "labelSelector": {}}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        return of_spec(affinity={"podAntiAffinity": required})

    async with admitting("LimitPodHardAntiAffinityTopology") as api:
        assert await refused(api, apart("zone")) == (
            "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key "
            "kubernetes.io/hostname is allowed"
        )
        await made(api, apart("kubernetes.io/hostname"))


async def test_a_namespace_selects_its_nodes() -> None:
    selectors = {"clusterDefaultNodeSelector": "disk=ssd", "strict": "zone=a,disk=ssd"}
    async with admitting("PodNodeSelector", node_selectors=selectors) as api:
        assert (await made(api, pod("a")))["nodeSelector"] == {"disk": "ssd"}
        assert await refused(api, of_spec("b", nodeSelector={"disk": "slow"})) == (
            "pod node label selector conflicts with its namespace node label selector"
        )
        note = {"annotations": {"scheduler.alpha.kubernetes.io/node-selector": "zone=b"}}
        await make(api, kinds.NAMESPACE, "team", metadata=note)
        assert (await made(api, pod("a"), "team"))["nodeSelector"] == {"zone": "b"}
        await make(api, kinds.NAMESPACE, "strict")
        assert await refused(api, of_spec("a", nodeSelector={"x": "y"}), "strict") == (
            "pod node label selector labels conflict with its namespace whitelist"
        )
        bad = {"annotations": {"scheduler.alpha.kubernetes.io/node-selector": "nonsense"}}
        await make(api, kinds.NAMESPACE, "bad", metadata=bad)
        assert await refused(api, pod("a"), "bad") == "invalid selector: [nonsense]"


async def test_a_project_selects_its_nodes_as_openshift_has_it() -> None:
    async with admitting("PodNodeSelector", disable=("ServiceAccount",)) as api:
        note = {"openshift.io/node-selector": "region=primary, zone=east"}
        await make(api, kinds.NAMESPACE, "team", metadata={"annotations": note})
        chosen = {"region": "primary", "zone": "east", "disk": "ssd"}
        made_there = await made(api, of_spec("a", nodeSelector={"disk": "ssd"}), "team")
        assert made_there["nodeSelector"] == chosen
        assert await refused(api, of_spec("b", nodeSelector={"zone": "west"}), "team") == (
            "pod node label selector conflicts with its project node label selector"
        )
        other = {**note, "scheduler.alpha.kubernetes.io/node-selector": "zone=b"}
        await make(api, kinds.NAMESPACE, "both", metadata={"annotations": other})
        assert (await made(api, pod("a"), "both"))["nodeSelector"] == {"zone": "b"}
        empty = {"openshift.io/node-selector": ""}
        await make(api, kinds.NAMESPACE, "free", metadata={"annotations": empty})
        assert "nodeSelector" not in await made(api, pod("a"), "free")


DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations"
ALLOWED = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"


async def test_a_namespace_gives_and_allows_tolerations() -> None:
    plugins = ("PodTolerationRestriction",)
    async with admitting(*plugins, disable=("DefaultTolerationSeconds",)) as api:
        notes = {
            DEFAULTS: '[{"key": "a", "operator": "Exists"}]',
            ALLOWED: '[{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]',
        }
        await make(api, kinds.NAMESPACE, "team", metadata={"annotations": notes})
        given = {"key": "a", "operator": "Exists"}
        assert (await made(api, pod("a"), "team"))["tolerations"] == [given]
        narrow = {"key": "a", "operator": "Equal", "value": "1"}
        spec = await made(api, of_spec("b", tolerations=[narrow]), "team")
        assert spec["tolerations"] == [given], "the wider one covers it"
        other = of_spec("c", tolerations=[{"key": "c", "operator": "Exists"}])
        assert await refused(api, other, "team") == (
            "pod tolerations (possibly merged with namespace default tolerations) conflict with its "
            "namespace whitelist"
        )
        limits = {"limits": {"cpu": "1", "memory": "1Mi"}}
        burst = of_spec("d", containers=[{"name": "c", "image": "i", "resources": limits}])
        spec = await made(api, burst)
        assert spec["tolerations"] == [
            {
                "key": "node.kubernetes.io/memory-pressure",
                "operator": "Exists",
                "effect": "NoSchedule",
            }
        ]


@pytest.mark.parametrize("note", ["{", "7", '["a"]'])
async def test_annotations_that_are_no_tolerations_are_refused(note: str) -> None:
    async with admitting("PodTolerationRestriction") as api:
        await make(api, kinds.NAMESPACE, "team", metadata={"annotations": {DEFAULTS: note}})
        assert "annotation" in await refused(api, pod("a"), "team")


async def test_a_pod_bears_the_zone_of_its_node() -> None:
    labels = {"topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "r", "x": "y"}
    target = {"target": {"apiVersion": "v1", "kind": "Node", "name": "n"}}
    async with admitting() as api:
        await make(api, kinds.NODE, "n", metadata={"labels": labels})
        there = (await ask(api, of_spec("made", nodeName="n"))).doc["metadata"]["labels"]
        assert there == {key: value for key, value in labels.items() if key != "x"}
        await ask(api, pod("bound", labels={"app": "web"}))
        await api("POST", f"{PODS}/bound/binding", {**target, "metadata": {"name": "bound"}})
        found = (await api("GET", f"{PODS}/bound")).doc["metadata"]["labels"]
        assert found == {**there, "app": "web"}
    async with admitting(disable=("PodTopologyLabels",)) as api:
        await make(api, kinds.NODE, "n", metadata={"labels": labels})
        assert "labels" not in (await ask(api, of_spec("made", nodeName="n"))).doc["metadata"]
        await ask(api, pod("bound"))
        await api("POST", f"{PODS}/bound/binding", {**target, "metadata": {"name": "bound"}})
        assert "labels" not in (await api("GET", f"{PODS}/bound")).doc["metadata"]


async def test_nodes_begin_with_a_taint() -> None:
    async with admitting() as api:
        taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        made_node = await make(api, kinds.NODE, "n")
        assert made_node["spec"]["taints"] == [taint]
        own = {"key": "mine", "effect": "NoExecute"}
        made_node = await make(api, kinds.NODE, "m", spec={"taints": [own, taint]})
        assert made_node["spec"]["taints"] == [own, taint]
