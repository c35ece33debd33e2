"""What every container runtime must do: one suite, passed by each driver of the Runtime protocol.

A driver's test module gives a `harness` fixture and takes the tests in by subclassing:

    class TestHollow(RuntimeSuite): ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    Runtime,
    RuntimeFailure,
    Sandbox,
    SandboxSpec,
    StartFailed,
    State,
)

_PATIENCE_S = 60.0


class Harness(Protocol):
    """How the suite drives one driver."""

    @property
    def runtime(self) -> Runtime: ...

    async def reopen(self) -> Runtime:
        """Let the runtime go and take it up again, as an agent that starts again does."""

    async def passing(self, seconds: float) -> None:
        """Let time pass, where it does not pass by itself."""

    async def ready(self, container: Container) -> None:
        """Return once a running container listens to its stop signal."""

    def sandbox(self, name: str) -> SandboxSpec: ...

    def running(self, name: str) -> ContainerSpec:
        """A container that runs until it is stopped."""

    def ending(self, name: str, code: int, after_s: float) -> ContainerSpec:
        """A container that ends by itself."""


async def until_ended(harness: Harness, container_id: str, seconds: float) -> Container:
    """The container once it has ended, having heard of every change on the way."""
    async with asyncio.timeout(_PATIENCE_S), asyncio.TaskGroup() as group:
        passing = group.create_task(harness.passing(seconds))
        while True:
            found = await one(harness.runtime, container_id)
            if found.state is State.EXITED:
                passing.cancel()
                return found
            await harness.runtime.changed()


async def one(runtime: Runtime, container_id: str) -> Container:
    (found,) = [each for each in await runtime.containers() if each.id == container_id]
    return found


async def refused(action: Callable[[], Awaitable[object]], kind: type[RuntimeFailure]) -> str:
    """The sentence with which it is refused."""
    try:
        await action()
    except kind as error:
        return str(error)
    raise AssertionError(f"it was not refused with {kind.__name__}")


class RuntimeSuite:
    """The common part: life, death, adoption and idempotence."""

    async def test_a_sandbox_is_listed_as_it_was_asked_for(self, harness: Harness) -> None:
        spec = replace(harness.sandbox("a"), labels={"app": "web"})
        made = await harness.runtime.run_sandbox(spec)
        assert made == Sandbox(spec.id, spec.namespace, spec.name, spec.netns, {"app": "web"})
        assert await harness.runtime.sandboxes() == [made]

    async def test_running_a_sandbox_twice_is_running_it_once(self, harness: Harness) -> None:
        spec = harness.sandbox("a")
        assert await harness.runtime.run_sandbox(spec) == await harness.runtime.run_sandbox(spec)
        assert len(await harness.runtime.sandboxes()) == 1

    async def test_a_started_container_runs(self, harness: Harness) -> None:
        sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
        spec = replace(harness.running("main"), attempt=3, labels={"tier": "x"})
        started = await harness.runtime.start_container(sandbox.id, spec)
        assert started.state is State.RUNNING
        assert (started.sandbox, started.name, started.attempt) == (sandbox.id, "main", 3)
        assert (started.image, started.log_path) == (spec.image, spec.log_path)
        assert started.labels == {"tier": "x"}
        assert started.started_at > 0
        assert started.finished_at == 0
        assert len(started.id) == 64
        assert await harness.runtime.containers() == [started]

    async def test_starting_an_attempt_twice_is_starting_it_once(self, harness: Harness) -> None:
        sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
        spec = harness.running("main")
        first = await harness.runtime.start_container(sandbox.id, spec)
        assert await harness.runtime.start_container(sandbox.id, spec) == first
        assert len(await harness.runtime.containers()) == 1

    async def test_attempts_and_names_are_containers_of_their_own(self, harness: Harness) -> None:
        sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
        main = harness.running("main")
        for spec in (main, replace(main, attempt=1), harness.running("other")):
            await harness.runtime.start_container(sandbox.id, spec)
        assert len({each.id for each in await harness.runtime.containers()}) == 3

    async def test_a_container_needs_its_sandbox(self, harness: Harness) -> None:
        start = harness.runtime.start_container
        words = await refused(lambda: start("nowhere", harness.running("main")), StartFailed)
        assert words == "sandbox nowhere does not exist"

    async def test_an_end_is_told_and_its_code_kept(self, harness: Harness) -> None:
        sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
        for name, code, reason in (("good", 0, "Completed"), ("bad", 7, "Error")):
            spec = harness.ending(name, code, 0.05)
            started = await harness.runtime.start_container(sandbox.id, spec)
            done = await until_ended(harness, started.id, 1.0)
            assert (done.exit_code, done.reason) == (code, reason)
            assert done.finished_at >= done.started_at == started.started_at

    async def test_changed_names_the_sandboxes_whose_containers_ended(
        self, harness: Harness
    ) -> None:
        quiet = await harness.runtime.run_sandbox(harness.sandbox("quiet"))
        loud = await harness.runtime.run_sandbox(harness.sandbox("loud"))
        await harness.runtime.start_container(quiet.id, harness.running("main"))
        await harness.runtime.start_container(loud.id, harness.ending("main", 0, 0.0))
        async with asyncio.timeout(_PATIENCE_S), asyncio.TaskGroup() as group:
            changed = group.create_task(harness.runtime.changed())
            await harness.passing(0.1)
            assert await changed == {loud.id}

    async def test_stopping_ends_it_and_twice_is_once(self, harness: Harness) -> None:
        sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
        started = await harness.runtime.start_container(sandbox.id, harness.running("main"))
        await harness.ready(started)
        await harness.runtime.stop_container(started.id, 5.0)
        stopped = await one(harness.runtime, started.id)
        assert stopped.state is State.EXITED
        assert stopped.exit_code == 143
        await harness.runtime.stop_container(started.id, 5.0)
        assert await one(harness.runtime, started.id) == stopped

    async def test_only_an_ended_container_can_be_removed(self, harness: Harness) -> None:
        sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
        started = await harness.runtime.start_container(sandbox.id, harness.running("main"))
        remove = harness.runtime.remove_container
        words = await refused(lambda: remove(started.id), RuntimeFailure)
        assert words == f"container {started.id[:12]} is running: stop it first"
        await harness.ready(started)
        await harness.runtime.stop_container(started.id, 5.0)
        await remove(started.id)
        await remove(started.id)
        assert await harness.runtime.containers() == []

    async def test_unknown_ids_are_nothing_to_do(self, harness: Harness) -> None:
        await harness.runtime.stop_container("0" * 64, 1.0)
        await harness.runtime.remove_container("0" * 64)
        await harness.runtime.remove_sandbox("nowhere")
        assert await harness.runtime.sandboxes() == []

    async def test_removing_a_sandbox_removes_its_containers(self, harness: Harness) -> None:
        kept = await harness.runtime.run_sandbox(harness.sandbox("kept"))
        gone = await harness.runtime.run_sandbox(harness.sandbox("gone"))
        stays = await harness.runtime.start_container(kept.id, harness.running("main"))
        goes = await harness.runtime.start_container(gone.id, harness.running("main"))
        await harness.ready(goes)
        await harness.runtime.stop_container(goes.id, 5.0)
        await harness.runtime.remove_sandbox(gone.id)
        await harness.runtime.remove_sandbox(gone.id)
        assert await harness.runtime.sandboxes() == [kept]
        assert await harness.runtime.containers() == [stays]

    async def test_a_removed_attempt_can_be_started_anew(self, harness: Harness) -> None:
        sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
        for _ in range(2):
            started = await harness.runtime.start_container(sandbox.id, harness.running("main"))
            await harness.ready(started)
            await harness.runtime.stop_container(started.id, 5.0)
            await harness.runtime.remove_container(started.id)
        assert await harness.runtime.containers() == []

    async def test_what_runs_and_what_ended_is_taken_up_again(self, harness: Harness) -> None:
        sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
        running = await harness.runtime.start_container(sandbox.id, harness.running("main"))
        await harness.ready(running)
        ending = await harness.runtime.start_container(sandbox.id, harness.ending("init", 3, 0.0))
        done = await until_ended(harness, ending.id, 0.1)
        runtime = await harness.reopen()
        assert await runtime.sandboxes() == [sandbox]
        found = {each.id: each for each in await runtime.containers()}
        assert found == {running.id: running, done.id: done}
        await runtime.stop_container(running.id, 5.0)
        assert (await one(runtime, running.id)).exit_code == 143
