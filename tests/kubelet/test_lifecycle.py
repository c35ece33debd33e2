"""The life of a pod, the same on an agent with a runtime and on a hollow node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Patch
from longshore.machinery.kubelet.hollow.nodes import HollowNodes, hollow_configs

from .docs import container, pod
from .world import NODE, World, until, world

ROOM = {"cpu": "4", "memory": "8Gi", "pods": "110"}


@pytest.fixture(params=["agent", "hollow"])
async def w(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        if request.param == "agent":
            made.start_agent()
        else:
            nodes = HollowNodes(hollow_configs([NODE], ROOM), made.client, made.clock)
            made.agents.append(made.crew.create_task(nodes.run()))
        lease = ("kube-node-lease", NODE)
        await until(lambda: made.registry.cache.get(kinds.LEASE, *lease))
        yield made


def ends(doc: Doc, how: str) -> Doc:
    """Its containers end so: CODE, or CODE after SECONDS."""
    doc["metadata"]["annotations"] = {"longshore.io/hollow-exit": how}
    return doc


def asking(cpu: str, **more: Any) -> Doc:
    return container(resources={"requests": {"cpu": cpu}}, **more)


async def put(w: World, doc: Doc) -> None:
    """Make a pod on the node, as no scheduler would."""
    metadata = {k: v for k, v in doc["metadata"].items() if k not in ("uid", "generation")}
    await w.create(kinds.POD, {**doc, "metadata": metadata})


async def resize(w: World, name: str, cpu: str) -> None:
    spec = (await w.pod(name))["spec"]
    containers = [{**one, **asking(cpu)} for one in spec["containers"]]
    await w.client.write(
        Patch(kinds.POD, "shop", name, {"spec": {"containers": containers}}, "resize")
    )


def has(w: World, name: str = "web") -> tuple[str, str]:
    """The cpu that was set aside for the container, and what it has."""
    told = w.container(pod=name)
    given, actual = told.get("allocatedResources") or {}, told.get("resources") or {}
    return given.get("cpu", ""), (actual.get("requests") or {}).get("cpu", "")


def _has_both(w: World, cpu: str) -> bool:
    return has(w) == (cpu, cpu)


def pending(w: World, name: str = "web") -> str:
    told = w.status(name).get("conditions") or ()
    return next((one["reason"] for one in told if one["type"] == "PodResizePending"), "")


async def test_it_runs_and_is_gone_when_deleted(w: World) -> None:
    await w.run_pod(pod())
    await until(lambda: w.ready())
    status = w.status()
    assert (status["phase"], status["observedGeneration"]) == ("Running", 1)
    assert {c["observedGeneration"] for c in status["conditions"]} == {1}
    assert w.container()["resources"] == {}
    await w.delete(grace_s=1)
    await until(lambda: w.gone())


async def test_it_ends_as_its_containers_do(w: World) -> None:
    await w.run_pod(ends(pod(name="good", restartPolicy="Never"), "0"))
    await w.run_pod(ends(pod(name="bad", restartPolicy="OnFailure"), "3"))
    await until(lambda: w.phase("good") == "Succeeded")
    await until(lambda: w.waiting(pod="bad") == "CrashLoopBackOff")
    assert w.container(pod="bad")["restartCount"] == 1
    await w.clock.advance(10.1)
    await until(lambda: w.container(pod="bad")["restartCount"] == 2)


async def test_containers_have_policies_of_their_own(w: World) -> None:
    codes = {"operator": "In", "values": [42]}
    again = container(
        restartPolicy="Never", restartPolicyRules=[{"action": "Restart", "exitCodes": codes}]
    )
    await w.run_pod(ends(pod(again, name="again", restartPolicy="Never"), "42"))
    await w.run_pod(ends(pod(again, name="once", restartPolicy="Always"), "1"))
    await until(lambda: w.phase("once") == "Failed")
    await until(lambda: w.container(pod="again").get("restartCount") == 1)
    assert w.phase("again") == "Running"


async def test_a_deadline_ends_it_and_may_come_nearer(w: World) -> None:
    await w.run_pod(pod(activeDeadlineSeconds=600))
    await until(lambda: w.phase() == "Running")
    await w.client.write(Patch(kinds.POD, "shop", "web", {"spec": {"activeDeadlineSeconds": 20}}))
    await w.clock.advance(10)
    assert w.phase() == "Running"
    await w.clock.advance(11)
    await until(lambda: w.phase() == "Failed")
    assert w.status()["reason"] == "DeadlineExceeded"


async def test_five_hundred_changes_converge(w: World) -> None:
    await w.run_pod(pod(activeDeadlineSeconds=10_000))
    await until(lambda: w.phase() == "Running")
    for number in range(500):
        spec = {"activeDeadlineSeconds": 9999 - number}
        await w.client.write(Patch(kinds.POD, "shop", "web", {"spec": spec}))
    await until(lambda: w.status()["observedGeneration"] == 501)
    assert {c["observedGeneration"] for c in w.status()["conditions"]} == {501}


async def test_its_resources_change_as_it_runs(w: World) -> None:
    await w.run_pod(pod(asking("1")))
    await until(lambda: has(w) == ("1", "1"))
    for cpu in ("2", "500m"):
        await resize(w, "web", cpu)
        await until(partial(_has_both, w, cpu))
    assert w.container()["restartCount"] == 0
    assert not pending(w) and w.status()["observedGeneration"] == 3


async def test_it_starts_anew_for_others_where_it_says_so(w: World) -> None:
    policy = {"resourceName": "cpu", "restartPolicy": "RestartContainer"}
    await w.run_pod(pod(asking("1", resizePolicy=[policy])))
    await until(lambda: has(w) == ("1", "1"))
    await resize(w, "web", "2")
    await until(lambda: has(w) == ("2", "2"))
    assert w.container()["restartCount"] == 1 and "running" in w.container()["state"]


async def test_it_waits_for_room(w: World) -> None:
    await w.run_pod(pod(asking("2"), name="other"))
    await w.run_pod(pod(asking("1")))
    await until(lambda: has(w) == ("1", "1"))
    await resize(w, "web", "3")
    await until(lambda: pending(w) == "Deferred")
    assert has(w) == ("1", "1")
    await w.clock.advance(30)
    assert pending(w) == "Deferred"
    await w.delete("other", grace_s=1)
    await until(lambda: has(w) == ("3", "3"))
    assert not pending(w)


async def test_what_it_waits_for_may_be_taken_back(w: World) -> None:
    await w.run_pod(pod(asking("2"), name="other"))
    await w.run_pod(pod(asking("1")))
    await until(lambda: has(w) == ("1", "1"))
    await resize(w, "web", "3")
    await until(lambda: pending(w) == "Deferred")
    await resize(w, "web", "1")
    await until(lambda: not pending(w) and w.status()["observedGeneration"] == 3)
    assert has(w) == ("1", "1")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"containers": [asking("3")]}, "OutOfcpu"),
        ({"nodeSelector": {"zone": "none"}}, "NodeAffinity"),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "SysctlForbidden"),
        ({"os": {"name": "windows"}}, "PodOSNotSupported"),
    ],
)  # fmt: skip
async def test_what_the_node_does_not_take_has_failed(w: World, spec: Doc, reason: str) -> None:
    await put(w, pod(asking("2"), name="first"))
    await until(lambda: w.phase("first") == "Running")
    doc = pod()
    doc["spec"] |= spec
    await put(w, doc)
    await w.clock.advance(1.5)
    await until(lambda: w.phase() == "Failed")
    assert w.status()["reason"] == reason
    assert w.status()["message"].startswith("Pod was rejected: ")
    assert "containerStatuses" not in w.status() and "podIP" not in w.status()
    await w.delete()
    await until(lambda: w.gone())


async def test_a_label_that_came_just_before_counts(w: World) -> None:
    await w.client.write(Patch(kinds.NODE, "", NODE, {"metadata": {"labels": {"zone": "b"}}}))
    await put(w, pod(nodeSelector={"zone": "b"}))
    await w.clock.advance(1.5)
    await until(lambda: w.phase() == "Running")
