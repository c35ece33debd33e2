"""exec, attach and statistics of an agent, over a runtime that only remembers what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.errors import BadRequest, InternalError, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Update
from longshore.core.streams.protocols import ExecOptions, LogOptions, Session
from longshore.machinery.kubelet.run import Kubelet
from longshore.machinery.kubelet.statistics.measuring import Measured, rate
from longshore.machinery.runtime.protocol import RuntimeFailure, State, Usage

from .docs import container, pod
from .world import Recording, World, until, world

OPTIONS = ExecOptions(("date",), stdout=True)
MI = 1 << 20


class Silent:
    """A session in which nothing is said."""

    async def write(self, data: bytes) -> None: ...
    async def close_stdin(self) -> None: ...
    async def resize(self, width: int, height: int) -> None: ...

    async def read(self) -> tuple[int, bytes]:
        return 0, b""

    async def exit_code(self) -> int | None:
        return 0

    async def close(self) -> None: ...


class Talking(Recording):
    """A runtime that can be talked to and measured."""

    asked: list[tuple[str, str, ExecOptions]]
    fails: str = ""
    cpu_ns: int = 0
    measured: int = 0

    async def exec(self, container_id: str, options: ExecOptions) -> Session:
        if self.fails:
            raise RuntimeFailure(self.fails)
        self.asked.append(("exec", container_id, options))
        return Silent()

    async def attach(self, container_id: str, options: ExecOptions) -> Session:
        self.asked.append(("attach", container_id, options))
        return Silent()

    async def usage(self) -> tuple[Usage | None, Mapping[str, Usage]]:
        self.measured += 1
        used = Usage(self.cpu_ns, 8 * MI, 6 * MI, 4 * MI)
        each = {c.id: used for c in await self.containers() if c.state is State.RUNNING}
        return Usage(self.cpu_ns * 2, 20 * MI, 16 * MI, 8 * MI), each


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        made.runtime = Talking(made.clock)
        made.runtime.asked = []
        yield made


def talking(w: World) -> Talking:
    assert isinstance(w.runtime, Talking)
    return w.runtime


async def agent_with(w: World, doc: Doc) -> Kubelet:
    agent = w.start_agent()
    await w.run_pod(doc)
    await until(lambda: w.phase() in ("Running", "Failed"))
    return agent


async def test_logs_of_what_has_not_started_say_what_it_waits_for(w: World) -> None:
    agent, image = w.start_agent(), container()["image"]
    w.runtime.missing.add(image)
    w.runtime.unpullable[image] = "manifest unknown"
    await w.run_pod(pod(container(), inits=[container("init")]))
    waits = 'container "{}" in pod "web" is waiting to start: {}'
    await until(
        lambda: w.status().get("initContainerStatuses") and w.waiting("init") == "ErrImagePull"
    )
    for name, why in (("main", "PodInitializing"), ("init", "image can't be pulled")):
        with pytest.raises(BadRequest, match=waits.format(name, why)):
            agent.logs("shop", "web", name, LogOptions())
    await w.clock.advance(2)
    await until(lambda: w.waiting("init") == "ImagePullBackOff")
    with pytest.raises(BadRequest, match="trying and failing to pull image"):
        agent.logs("shop", "web", "init", LogOptions())


async def test_a_command_goes_to_the_newest_container_of_that_name(w: World) -> None:
    agent = await agent_with(w, pod(container("main"), container("side")))
    await w.runtime.crash((await w.pod())["metadata"]["uid"], "side")
    await until(lambda: w.container("side").get("restartCount") == 1)
    await agent.exec("shop", "web", "side", OPTIONS)
    await agent.attach("shop", "web", "main", ExecOptions(stdin=True))
    running = {c.name: c.id for c in await w.runtime.containers() if c.state is State.RUNNING}
    assert talking(w).asked == [
        ("exec", running["side"], OPTIONS),
        ("attach", running["main"], ExecOptions(stdin=True)),
    ]


async def test_refusals_name_what_is_missing(w: World) -> None:
    agent = await agent_with(w, pod(restartPolicy="Never"))
    with pytest.raises(NotFound, match='pods "other" not found'):
        await agent.exec("shop", "other", "main", OPTIONS)
    with pytest.raises(NotFound, match=r'container not found \("none"\)'):
        await agent.attach("shop", "web", "none", OPTIONS)
    with pytest.raises(BadRequest, match="at least 1 command"):
        await agent.exec("shop", "web", "main", ExecOptions())
    talking(w).fails = "no such program"
    words = "Internal error occurred: error executing command in container: no such program"
    with pytest.raises(InternalError, match=words):
        await agent.exec("shop", "web", "main", OPTIONS)
    await w.runtime.crash((await w.pod())["metadata"]["uid"], "main")
    await until(lambda: w.phase() == "Failed")
    with pytest.raises(BadRequest, match='container "main" in pod "web" is not running'):
        await agent.exec("shop", "web", "main", OPTIONS)


async def test_a_runtime_without_processes_refuses(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        agent = await agent_with(w, pod())
        with pytest.raises(BadRequest, match="on a runtime in which no commands can be run"):
            await agent.exec("shop", "web", "main", OPTIONS)
        assert (await agent.statistics.summary())["pods"] == []


async def test_stats_are_rates_since_the_start_then_since_the_last(w: World) -> None:
    agent, runtime = await agent_with(w, pod(container("a"), container("b"))), talking(w)
    await w.clock.advance(20)
    runtime.cpu_ns = 10_000_000_000
    before = runtime.measured
    summary = await agent.statistics.summary()
    (shown,) = summary["pods"]
    assert shown["podRef"] == {
        "name": "web", "namespace": "shop", "uid": (await w.pod())["metadata"]["uid"],
    }  # fmt: skip
    assert [each["name"] for each in shown["containers"]] == ["a", "b"]
    assert shown["containers"][0]["cpu"]["usageNanoCores"] == pytest.approx(500_000_000, rel=0.1)
    assert shown["memory"]["workingSetBytes"] == 12 * MI
    assert summary["node"]["memory"]["usageBytes"] == 20 * MI
    runtime.cpu_ns += 2_000_000_000
    await w.clock.advance(5)
    assert await agent.statistics.summary() == summary
    await w.clock.advance(5)
    later = await agent.statistics.summary()
    assert later["pods"][0]["cpu"]["usageNanoCores"] == 400_000_000
    assert later["node"]["cpu"]["usageNanoCores"] == 400_000_000
    assert runtime.measured == before + 2


def test_a_counter_that_began_anew_gives_no_negative_rate() -> None:
    before = Measured(100.0, Usage(5000, 1, 1, 1), 0, 10.0)
    assert rate(Usage(10, 1, 1, 1), 110.0, before, 0.0).cores_ns == 0


async def test_an_added_ephemeral_container_is_started_once_and_reported(w: World) -> None:
    await agent_with(w, pod())
    stored = await w.pod()
    debugger = {**container("debugger", stdin=True, tty=True), "targetContainerName": "main"}
    changed = {**stored, "spec": {**stored["spec"], "ephemeralContainers": [debugger]}}
    await w.client.write(Update(kinds.POD, changed, "ephemeralcontainers"))
    await until(lambda: w.status().get("ephemeralContainerStatuses"))

    def shown() -> Doc:
        (entry,) = w.status()["ephemeralContainerStatuses"]
        state: Doc = entry["state"]
        assert not entry["ready"]
        return state

    await until(lambda: "running" in shown())
    spec = next(each for each in w.runtime.started if each.name == "debugger")
    assert (spec.stdin, spec.tty, spec.pid_of) == (True, True, "main")
    assert w.ready()
    await w.runtime.crash(stored["metadata"]["uid"], "debugger", 3)
    await until(lambda: "terminated" in shown())
    assert shown()["terminated"]["exitCode"] == 3
    await w.clock.advance(30)
    assert [each.name for each in w.runtime.started] == ["main", "debugger"]
    assert w.phase() == "Running"
