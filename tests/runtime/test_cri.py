"""The cri driver against a real containerd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.machinery.runtime.cri import calls, plan
from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.calls import Calls, Silent
from longshore.machinery.runtime.images import ImageConfig, build_image
from longshore.machinery.runtime.oci import cgroups
from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    Hook,
    ImagePullFailed,
    Login,
    Mount,
    Resources,
    RuntimeFailure,
    Security,
    StartFailed,
    State,
)
from longshore.testing.container_suite import ContainerSuite
from longshore.testing.program_suite import ProgramSuite
from longshore.testing.runtime_suite import one, refused
from tests.ports import free_port
from tests.runtime.conftest import build_busybox
from tests.runtime.cri_world import GROUP, CriHarness, Machine, machine
from tests.runtime.groups import commands_in
from tests.runtime.registries import USER, private_registry, push
from tests.runtime.unified import UnifiedSuite

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    home = tmp_path_factory.mktemp("containerd")
    build_busybox(home / "busybox.tar")
    with machine(home, home / "busybox.tar") as made:
        yield made


@pytest.fixture
async def harness(tmp_path: Path, running: Machine, netns: str) -> AsyncIterator[CriHarness]:
    made = CriHarness(tmp_path, running.containerd, netns)
    await made.runtime.open()
    yield made
    await made.clean()
    await made.runtime.close()


class TestCri(ContainerSuite, ProgramSuite):
    pass


class TestCriUnified(UnifiedSuite):
    pass


async def begun(harness: CriHarness, spec: ContainerSpec) -> Container:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox(spec.name))
    return await harness.runtime.start_container(sandbox.id, spec)


async def test_a_runtime_that_was_killed_is_found_again_with_all_that_ended(
    harness: CriHarness, running: Machine
) -> None:
    steady = await begun(harness, harness.running("steady"))
    ending = await begun(harness, harness.ending("ending", 4, 0.5))
    running.kill()
    words = await refused(harness.runtime.images, RuntimeFailure)
    assert words == f"the container runtime at {running.containerd.socket} does not answer"
    started = harness.runtime.start_container
    again = replace(harness.running("steady"), attempt=1)
    assert "does not answer" in await refused(lambda: started(steady.sandbox, again), Silent)
    running.start()
    ended = await until_known(harness, ending.id)
    assert (ended.exit_code, ended.reason) == (4, "Error")
    assert await one(harness.runtime, steady.id) == steady
    assert len(harness.said) == 1
    assert (await harness.runtime.exec_sync(steady.id, ["echo", "here"], 5.0))[1] == b"here\n"


async def test_each_start_is_done_once_though_the_runtime_ends_meanwhile(
    harness: CriHarness, running: Machine
) -> None:
    """Whatever had no answer is found: a sandbox, a container that never ran, one that runs."""
    ran, clock = harness.root / "ran", SystemClock()
    ran.mkdir()
    for turn, after_s in enumerate((0.02, 0.06, 0.1)):
        spec = harness.shell(f"once-{turn}", f"echo run >> /ran/{turn}; exec sleep 1000")
        spec = replace(spec, mounts=(Mount(str(ran), "/ran"),))
        asking = asyncio.ensure_future(begun(harness, spec))
        await clock.sleep(after_s)
        running.kill()
        running.start()
        await asyncio.wait({asking})
        assert asking.exception() is None or isinstance(asking.exception(), RuntimeFailure)
        await begun_at_last(harness, spec)
        async with asyncio.timeout(60):
            while not (ran / str(turn)).exists():
                await clock.sleep(0.02)
        assert (ran / str(turn)).read_text() == "run\n"
    ask = Calls(harness.containerd.endpoint)
    labels = {plan.NODE_LABEL: harness.node}
    sandboxes = rpc.ListSandboxRequest(filter=rpc.SandboxFilter(label_selector=labels))
    assert len((await ask(calls.LIST_SANDBOXES, sandboxes)).items) == turn + 1
    containers = rpc.ListContainersRequest(filter=rpc.ContainerFilter(label_selector=labels))
    assert len((await ask(calls.LIST, containers)).containers) == turn + 1
    await ask.close()


async def test_a_pod_goes_though_nobody_was_told_of_its_start(
    harness: CriHarness, running: Machine
) -> None:
    for turn, after_s in enumerate((0.03, 0.08)):
        spec = harness.running(f"untold-{turn}")
        asking = asyncio.ensure_future(begun(harness, spec))
        await SystemClock().sleep(after_s)
        running.kill()
        running.start()
        await asyncio.wait({asking})
        uid = harness.sandbox(spec.name).id
        async with asyncio.timeout(30):
            while not await gone(harness, uid):
                await SystemClock().sleep(0.05)
        assert cgroups.existing(f"{GROUP}/{harness.node}/besteffort/pod{uid}") == []
    ask = Calls(harness.containerd.endpoint)
    asked = rpc.ListSandboxRequest(
        filter=rpc.SandboxFilter(label_selector={plan.NODE_LABEL: harness.node})
    )
    assert list((await ask(calls.LIST_SANDBOXES, asked)).items) == []
    await ask.close()


async def gone(harness: CriHarness, uid: str) -> bool:
    """Stop what is known to run, and remove the pod; whether the runtime could."""
    try:
        for container in await harness.runtime.containers():
            if container.sandbox == uid:
                await harness.runtime.stop_container(container.id, 0)
        await harness.runtime.remove_sandbox(uid)
    except RuntimeFailure:
        return False
    return True


async def begun_at_last(harness: CriHarness, spec: ContainerSpec) -> Container:
    """As a kubelet does, which asks again after a failure."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await begun(harness, spec)
            except RuntimeFailure:
                await SystemClock().sleep(0.05)


async def until_known(harness: CriHarness, container_id: str) -> Container:
    """As a kubelet does, which asks again after a failure."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(RuntimeFailure):
                found = await one(harness.runtime, container_id)
                if found.state is State.EXITED:
                    return found
                await harness.runtime.changed()
            await SystemClock().sleep(0.05)


async def test_a_sandbox_that_was_lost_is_made_anew(harness: CriHarness) -> None:
    first = await begun(harness, harness.running("a"))
    (pause,) = (
        pid
        for pid, command in commands_in(f"{GROUP}/n1/besteffort/pod{first.sandbox}").items()
        if command.startswith(b"/pause")
    )
    os.kill(pause, signal.SIGKILL)
    again = replace(harness.running("a"), attempt=1)

    async def listen() -> None:
        while True:
            await harness.runtime.changed()

    async with asyncio.timeout(60), asyncio.TaskGroup() as crew:
        listening = crew.create_task(listen())
        second = None
        while second is None or (await one(harness.runtime, first.id)).state is State.RUNNING:
            with contextlib.suppress(StartFailed):
                second = await harness.runtime.start_container(first.sandbox, again)
            await SystemClock().sleep(0.02)
        listening.cancel()
    assert second.state is State.RUNNING
    await harness.reopen()
    assert {each.id for each in await harness.runtime.containers()} == {first.id, second.id}
    assert len(await harness.runtime.sandboxes()) == 1


async def test_nodes_share_a_runtime_and_see_what_is_theirs(
    harness: CriHarness, tmp_path: Path
) -> None:
    other = CriHarness(tmp_path, harness.containerd, harness.netns, "n2")
    await other.runtime.open()
    here = await begun(harness, harness.running("here"))
    there = await begun(other, other.running("there"))
    assert await harness.runtime.containers() == [here]
    assert await (await other.reopen()).containers() == [there]
    image = await harness.runtime.image("busybox:1.35")
    assert image is not None
    words = await refused(lambda: other.runtime.remove_image(image.id), RuntimeFailure)
    assert words == f"image {image.id[:12]} is used by a container"
    await other.clean()
    await other.runtime.close()
    assert (await one(harness.runtime, here.id)).state is State.RUNNING


async def test_what_a_runtime_would_leave_out_is_refused_by_name(harness: CriHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    spec = harness.running("a")
    for wrong, why in (
        (replace(spec, hooks=(Hook("prestart", "/bin/true"),)), "hooks of devices"),
        (replace(spec, security=Security(strict_groups=True)), "supplementalGroupsPolicy Strict"),
        (replace(spec, mounts=(Mount("/", "/m", True, True),)), "recursive read-only mounts"),
        (replace(spec, mounts=(Mount("", "/m", image="busybox:1.35"),)), "image volumes"),
        (replace(spec, log_path="/elsewhere/a.log"), "is not below"),
    ):
        start = partial(harness.runtime.start_container, sandbox.id, wrong)
        assert why in await refused(start, StartFailed)
    handled = replace(harness.sandbox("b"), handler="nowhere")
    words = await refused(lambda: harness.runtime.run_sandbox(handled), RuntimeFailure)
    assert 'no runtime for "nowhere" is configured' in words


async def test_a_network_that_was_not_given_is_named(harness: CriHarness) -> None:
    spec = replace(harness.sandbox("a"), netns="/no/such/namespace")
    words = await refused(lambda: harness.runtime.run_sandbox(spec), RuntimeFailure)
    assert "/no/such/namespace cannot be bound" in words
    assert await harness.runtime.sandboxes() == []


async def test_images_are_what_the_runtime_has(harness: CriHarness) -> None:
    image = await harness.runtime.image("busybox:1.35")
    assert image is not None
    assert (image.names, image.env) == (("docker.io/library/busybox:1.35",), ("GREETING=hello",))
    assert [each.id for each in await harness.runtime.images()] == [image.id]
    assert await harness.runtime.image("nowhere.test/nothing:1") is None
    assert await harness.runtime.image("no reference at all") is None
    await harness.runtime.remove_image("0" * 64)


async def test_a_login_opens_a_registry(harness: CriHarness, tmp_path: Path) -> None:
    archive = tmp_path / "app.tar"
    build_image(archive, ["app:1"], ImageConfig(["/x"]), files={"x": b"content"})
    async with private_registry(tmp_path, free_port()) as host:
        reference = f"{host}/team/app:1"
        await push(archive, reference)
        pull = harness.runtime.pull
        for login in (None, Login("me", "wrong")):
            words = await refused(partial(pull, reference, login), ImagePullFailed)
            assert "authoriz" in words or "401" in words
        image = await pull(reference, USER)
        assert image.entrypoint == ("/x",)
        assert reference in image.names
        words = await refused(partial(pull, f"{host}/team/none:1", USER), ImagePullFailed)
        assert "not found" in words
    await harness.runtime.remove_image(image.id)
    assert await harness.runtime.image(reference) is None


async def test_what_was_half_made_is_thrown_away(harness: CriHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    ask = Calls(harness.containerd.endpoint)
    shown = await ask(calls.LIST_SANDBOXES, rpc.ListSandboxRequest())
    (found,) = (one for one in shown.items if one.metadata.uid == sandbox.id)
    image = await harness.runtime.image("busybox:1.35")
    read = plan.read_sandbox(found)
    assert image is not None and read is not None
    asked = rpc.CreateContainerRequest(
        pod_sandbox_id=found.id,
        config=plan.container_config(harness.running("a"), read[1], image, harness.node),
        sandbox_config=plan.sandbox_config(*read, harness.node),
    )
    made = await ask(calls.CREATE, asked)
    await harness.reopen()
    assert await harness.runtime.containers() == []
    assert await harness.runtime.sandboxes() == [sandbox]
    left = await ask(calls.LIST, rpc.ListContainersRequest())
    assert made.container_id not in {each.id for each in left.containers}
    await ask.close()


async def test_a_pods_group_has_its_bounds_and_goes_with_it(harness: CriHarness) -> None:
    spec = replace(
        harness.sandbox("a"), qos="Burstable", resources=Resources(memory_limit_bytes=64 << 20)
    )
    sandbox = await harness.runtime.run_sandbox(spec)
    group = f"{GROUP}/n1/burstable/pod{spec.id}"
    assert len(cgroups.existing(group)) > 0
    await harness.runtime.update_sandbox(sandbox.id, Resources(memory_limit_bytes=96 << 20))
    await harness.runtime.remove_sandbox(sandbox.id)
    assert cgroups.existing(group) == []
