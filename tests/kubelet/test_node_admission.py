"""Which pods a node takes, of those that were bound to it around the scheduler."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Patch
from longshore.machinery.kubelet.admission.plan import Site, counted_as, refusal
from longshore.machinery.kubelet.admission.room import Room
from longshore.machinery.kubelet.admission.sysctls import forbidden_sysctl

from .docs import container, pod
from .world import NODE, World, until, world

NODE_DOC = {"metadata": {"name": "n1", "labels": {"zone": "a", "size": "5"}}, "spec": {}}
ROOM = {"cpu": 2000, "memory": 2**30, "pods": 2}


def asking(cpu: str) -> Doc:
    return container(resources={"requests": {"cpu": cpu}})


def judged(doc: Doc, room: Room | None = None, **site: Any) -> tuple[str, str] | None:
    told = {"node": NODE_DOC, "allocatable": ROOM, **site}
    why = refusal(doc, Site(**told), room or Room())
    return None if why is None else (why.reason, why.message)


def required(*expressions: Doc, fields: tuple[Doc, ...] = ()) -> Doc:
    term: Doc = {"matchExpressions": list(expressions), "matchFields": list(fields)}
    selector = {"nodeSelectorTerms": [{k: v for k, v in term.items() if v}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}


def test_room_is_counted_and_given_back() -> None:
    room = Room()
    assert judged(pod(asking("2"), name="a"), room) is None
    room.give("uid-a", pod(asking("1500m"))["spec"])
    why = "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000"
    assert judged(pod(asking("1"), name="b"), room) == ("OutOfcpu", why)
    assert judged(pod(asking("2"), name="a"), room) is None  # its own does not count against it
    assert room.take_back("uid-a") and not room.take_back("uid-a")
    assert judged(pod(asking("1"), name="b"), room) is None


def test_there_is_room_for_so_many_pods() -> None:
    room = Room()
    for name in ("a", "b"):
        room.give(f"uid-{name}", pod()["spec"])
    why = "Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2"
    assert judged(pod(name="c"), room) == ("OutOfpods", why)


def test_what_a_node_says_nothing_of_is_not_judged() -> None:
    wants = {"requests": {"example.com/gpu": "7"}, "limits": {"example.com/gpu": "7"}}
    assert judged(pod(container(resources=wants))) is None
    full = {**ROOM, "example.com/gpu": 1}
    found = judged(pod(container(resources=wants)), allocatable=full)
    assert found is not None and found[0] == "OutOfexample.com/gpu"


AFFINITY = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"


@pytest.mark.parametrize(
    ("spec", "taken"),
    [
        ({"nodeSelector": {"zone": "a"}}, True),
        ({"nodeSelector": {"zone": "b"}}, False),
        ({"affinity": required({"key": "zone", "operator": "In", "values": ["b", "a"]})}, True),
        ({"affinity": required({"key": "zone", "operator": "NotIn", "values": ["a"]})}, False),
        ({"affinity": required({"key": "size", "operator": "Gt", "values": ["4"]})}, True),
        ({"affinity": required(fields=({"key": "metadata.name", "operator": "In", "values": ["n1"]},))}, True),
        ({"affinity": required(fields=({"key": "metadata.name", "operator": "In", "values": ["n2"]},))}, False),
        ({"affinity": required()}, False),
    ],
)  # fmt: skip
def test_labels_that_pods_ask_for(spec: Doc, taken: bool) -> None:
    assert judged(pod(**spec)) == (None if taken else ("NodeAffinity", AFFINITY))


def test_only_taints_that_drive_away_keep_out() -> None:
    taint = {"key": "gone", "effect": "NoExecute"}
    node = {**NODE_DOC, "spec": {"taints": [taint, {"key": "x", "effect": "NoSchedule"}]}}
    why = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    assert judged(pod(), node=node) == ("TaintToleration", why)
    assert judged(pod(tolerations=[{"key": "gone", "operator": "Exists"}]), node=node) is None
    static = pod()
    static["metadata"]["annotations"] = {"kubernetes.io/config.source": "file"}
    assert judged(static, node=node) is None


def test_other_systems() -> None:
    found = judged(pod(os={"name": "windows"}))
    assert found == (
        "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
    )  # fmt: skip
    labelled = pod()
    labelled["metadata"]["labels"] = {"kubernetes.io/os": "windows"}
    found = judged(labelled)
    assert found is not None and found[0] == "PodOSSelectorNodeLabelDoesNotMatch"


@pytest.mark.parametrize(
    ("name", "spec", "why"),
    [
        ("net.ipv4.tcp_syncookies", {}, None),
        ("net/ipv4/tcp_syncookies", {}, None),
        ("kernel.msgmax", {}, '"kernel.msgmax" not allowlisted'),
        ("net.core.somaxconn", {}, None),
        ("net.core.somaxconn", {"hostNetwork": True}, '"net.core.somaxconn" not allowed with host net enabled'),
        ("kernel.shm_rmid_forced", {"hostIPC": True}, '"kernel.shm_rmid_forced" not allowed with host ipc enabled'),
        ("kernel.sem", {}, None),
    ],
)  # fmt: skip
def test_sysctls(name: str, spec: Doc, why: str | None) -> None:
    asked = {"securityContext": {"sysctls": [{"name": name, "value": "1"}]}, **spec}
    assert forbidden_sysctl(asked, ("net.core.*", "kernel.sem")) == why


def test_resources_that_anybody_names_are_counted_as_one() -> None:
    assert counted_as("OutOfexample.com/gpu") == "OutOfExtendedResources"
    assert (counted_as("OutOfcpu"), counted_as("NodeAffinity")) == ("OutOfcpu", "NodeAffinity")


# -- on a whole agent


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        made.start_agent()
        await until(lambda: made.registry.cache.get(kinds.NODE, "", NODE))
        yield made


async def put(w: World, doc: Doc) -> Doc:
    """Make a pod with its node's name, as no scheduler would."""
    metadata = {k: v for k, v in doc["metadata"].items() if k not in ("uid", "generation")}
    return await w.create(kinds.POD, {**doc, "metadata": metadata})


async def test_a_pod_without_room_is_failed_and_never_started(w: World) -> None:
    await put(w, pod(asking("3"), name="first"))
    await until(lambda: w.phase("first") == "Running")
    await put(w, pod(asking("2"), name="web"))
    await until(lambda: w.phase() == "Failed")
    status, why = (
        w.status(),
        "Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000",
    )
    assert (status["reason"], status["message"]) == ("OutOfcpu", f"Pod was rejected: {why}")
    assert "containerStatuses" not in status and len(w.runtime.started) == 1
    assert f"OutOfcpu: {why}" in await w.events()
    await w.delete("first")
    await until(lambda: w.gone("first"))
    assert w.phase() == "Failed"
    await put(w, pod(asking("2"), name="next"))
    await until(lambda: w.phase("next") == "Running")
    await w.delete()
    await until(lambda: w.gone())


async def test_a_rejection_outlives_the_agent(w: World) -> None:
    await put(w, pod(nodeSelector={"zone": "b"}))
    await until(lambda: w.phase() == "Failed")
    before = w.status()
    await w.stop_agent()
    w.start_agent()
    await w.clock.advance(1)
    assert w.status() == before and not w.runtime.started


async def test_pods_that_run_are_kept_whatever_the_node_has_now(w: World) -> None:
    await put(w, pod(asking("3")))
    await until(lambda: w.phase() == "Running")
    await w.stop_agent()
    patch = {"spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}}
    await w.client.write(Patch(kinds.NODE, "", NODE, patch))
    w.start_agent()
    await w.clock.advance(1)
    assert w.phase() == "Running" and len(w.runtime.started) == 1


async def test_a_label_that_came_late_counts(w: World) -> None:
    await w.client.write(Patch(kinds.NODE, "", NODE, {"metadata": {"labels": {"zone": "b"}}}))
    await put(w, pod(nodeSelector={"zone": "b"}))
    await until(lambda: w.phase() == "Running")


async def test_refusals_are_counted(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        agent = w.start_agent()
        await until(lambda: w.registry.cache.get(kinds.NODE, "", NODE))
        await put(w, pod(nodeSelector={"zone": "none"}))
        await until(lambda: w.phase() == "Failed")
        told = list(agent.statistics.agent.lines([]))
        assert 'kubelet_admission_rejections_total{reason="NodeAffinity"} 1' in told


async def test_sysctls_that_nobody_allowed(w: World) -> None:
    await put(w, pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "9"}]}))
    await until(lambda: w.phase() == "Failed")
    assert w.status()["reason"] == "SysctlForbidden"
    assert (
        w.status()["message"]
        == 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted'
    )


async def test_what_has_ended_needs_no_room(w: World) -> None:
    await put(w, pod(asking("3"), name="job", restartPolicy="Never"))
    await until(lambda: w.phase("job") == "Running")
    uid = (await w.pod("job"))["metadata"]["uid"]
    await w.runtime.crash(uid, "main", 0)
    await until(lambda: w.phase("job") == "Succeeded")
    await put(w, pod(asking("3")))
    await until(lambda: w.phase() == "Running")
