"""What a RuntimeClass means to a node: the handler that runs its pods."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longshore.core.objects import kinds
from longshore.core.registry.client import Bind, Delete
from longshore.machinery.runtime.hollow import HollowRuntime
from longshore.machinery.runtime.protocol import Handler, RuntimeFailure, Sandbox, SandboxSpec

from .docs import pod
from .world import NODE, Recording, World, until, world


class Choosy(Recording):
    """A runtime of two handlers."""

    def handlers(self) -> list[Handler]:
        return [Handler(""), Handler("sandboxed", recursive_read_only=True)]

    async def run_sandbox(self, spec: SandboxSpec) -> Sandbox:
        if spec.handler not in ("", "sandboxed"):
            raise RuntimeFailure(f'no runtime for "{spec.handler}" is configured')
        self.asked = spec
        return await HollowRuntime.run_sandbox(self, spec)


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        made.runtime = Choosy(made.clock)
        made.start_agent()
        await until(lambda: made.registry.cache.get(kinds.NODE, "", NODE))
        for name, handler in (("good", "sandboxed"), ("bad", "unknown")):
            doc = {"metadata": {"name": name}, "handler": handler}
            await made.create(kinds.RUNTIME_CLASS, doc)
        yield made


async def test_a_pod_is_run_by_the_handler_of_its_class(w: World) -> None:
    await w.run_pod(pod(runtimeClassName="good"))
    await until(lambda: w.phase() == "Running")
    assert isinstance(w.runtime, Choosy)
    assert w.runtime.asked.handler == "sandboxed"
    await w.run_pod(pod(name="usual"))
    await until(lambda: w.phase("usual") == "Running")
    assert w.runtime.asked.handler == ""


async def test_a_handler_that_the_node_lacks_keeps_the_pod_waiting_and_says_why(w: World) -> None:
    await w.run_pod(pod(runtimeClassName="bad"))
    sentence = 'FailedCreatePodSandBox: Failed to create pod sandbox: no runtime for "unknown" is configured'
    await until(lambda: w.status().get("message"))
    assert sentence in await w.events()
    assert w.phase() == "Pending"


async def test_a_class_that_went_away_before_its_pod_came_is_told_of(w: World) -> None:
    gone = await w.create(kinds.POD, {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "main", "image": "b:1"}], "runtimeClassName": "good"},
    })  # fmt: skip
    await w.client.write(Delete(kinds.RUNTIME_CLASS, "", "good"))
    await w.client.write(Bind("shop", gone["metadata"]["name"], NODE))
    await until(lambda: w.status().get("message"))
    assert 'runtimeclasses.node.k8s.io "good" not found' in w.status()["message"].lower()


async def test_a_node_says_which_handlers_it_has(w: World) -> None:
    node = await w.client.get(kinds.NODE, "", NODE)
    assert node["status"]["runtimeHandlers"] == [
        {"name": "", "features": {"recursiveReadOnlyMounts": False, "userNamespaces": False}},
        {
            "name": "sandboxed",
            "features": {"recursiveReadOnlyMounts": True, "userNamespaces": False},
        },
    ]
