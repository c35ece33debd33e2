"""exec and attach against real conmon, runc and busybox: streams.Session from end to end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.streams.protocols import ExecOptions, Session
from longshore.machinery.runtime.images import ImageStore
from longshore.machinery.runtime.oci import destroy_all
from longshore.machinery.runtime.protocol import (
    CanMeasure,
    Container,
    ContainerSpec,
    RuntimeFailure,
)
from tests.runtime.groups import commands_in, gone
from tests.runtime.test_oci import OciHarness

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(params=["runc", "crun"])
async def harness(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    images: ImageStore,
    netns: str,
    cgroup_parent: str,
) -> AsyncIterator[OciHarness]:
    made = OciHarness(tmp_path, images, netns, cgroup_parent, request.param)
    await made.runtime.open()
    yield made
    await made.runtime.close()
    destroy_all(tmp_path / "runtime", cgroup_parent)


async def started(harness: OciHarness, spec: ContainerSpec | None = None) -> Container:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    return await harness.runtime.start_container(sandbox.id, spec or harness.running("a"))


def asked(*command: str, stdin: bool = False, tty: bool = False) -> ExecOptions:
    return ExecOptions(command, stdin=stdin, stdout=True, stderr=not tty, tty=tty)


async def heard(session: Session, until: bytes = b"") -> dict[int, bytes]:
    """All that it says, by stream; or what it said when stdout has that word."""
    said = {1: b"", 2: b""}
    async with asyncio.timeout(60):
        while True:
            stream, piece = await session.read()
            if not stream:
                return said
            said[stream] += piece
            if until and until in said[1]:
                return said


async def test_what_nobody_reads_is_not_gathered(harness: OciHarness) -> None:
    container = await started(harness)
    session = await harness.runtime.exec(container.id, asked("/bin/sh", "-c", "cat /dev/zero"))
    assert (await session.read())[0] == 1
    await SystemClock().sleep(0.2)
    group = harness.pod_group(container.sandbox)
    assert b"cat\x00/dev/zero\x00" in commands_in(group).values()
    assert (await session.read())[0] == 1
    await session.close()
    await gone(group, b"cat\x00/dev/zero\x00")


async def test_a_terminal_has_the_size_it_is_given(harness: OciHarness) -> None:
    container = await started(harness)
    script = "trap 'stty size' WINCH; test -t 0 && echo $TERM; while true; do sleep 0.02; done"
    session = await harness.runtime.exec(
        container.id, asked("/bin/sh", "-c", script, stdin=True, tty=True)
    )
    assert (await heard(session, b"xterm"))[1] == b"xterm\r\n"
    await session.resize(101, 33)
    assert b"33 101" in (await heard(session, b"101"))[1]
    await session.resize(80, 24)
    assert b"24 80" in (await heard(session, b"24 80"))[1]
    await session.write(b"\x03")
    async with asyncio.timeout(60):
        assert await session.exit_code() == 130
    await session.close()


async def test_a_closed_session_ends_all_its_processes_and_no_other(harness: OciHarness) -> None:
    container = await started(harness)
    script = "sleep 7701 & sh -c 'sleep 7702; true' & echo ready; wait"
    other = await harness.runtime.exec(container.id, asked("sleep", "7703"))
    session = await harness.runtime.exec(container.id, asked("/bin/sh", "-c", script))
    await heard(session, b"ready")
    await session.close()
    group = harness.pod_group(container.sandbox)
    await gone(group, b"sleep\x007701\x00", b"sleep\x007702\x00")
    assert b"sleep\x007703\x00" in commands_in(group).values()
    await other.close()
    assert await session.read() == (0, b"")


async def test_a_command_that_is_not_there_is_named(harness: OciHarness) -> None:
    container = await started(harness)
    with pytest.raises(RuntimeFailure, match=r"nope.* not found in \$PATH"):
        await harness.runtime.exec(container.id, asked("nope"))
    with pytest.raises(RuntimeFailure, match="is not running"):
        await harness.runtime.exec("0" * 64, asked("true"))
    directory = harness.root / "runtime" / "run" / "containers" / container.id
    assert list(directory.glob("exec-*")) == []


async def test_a_container_goes_on_when_one_detaches(harness: OciHarness) -> None:
    script = "while read line; do echo got $line; done"
    container = await started(harness, replace(harness.shell("a", script), stdin=True))
    options = ExecOptions(stdin=True, stdout=True)
    for word in (b"one", b"two"):
        session = await harness.runtime.attach(container.id, options)
        await session.write(word + b"\n")
        assert await heard(session, word + b"\n") == {1: b"got " + word + b"\n", 2: b""}
        await session.close_stdin()
        await session.close()


async def test_attach_resizes_the_containers_terminal(harness: OciHarness) -> None:
    script = "while true; do stty size; sleep 0.02; done"
    container = await started(harness, replace(harness.shell("a", script), tty=True, stdin=True))
    session = await harness.runtime.attach(
        container.id, ExecOptions(stdin=True, stdout=True, tty=True)
    )
    await session.resize(120, 50)
    assert b"50 120" in (await heard(session, b"50 120"))[1]
    await session.close()


async def test_sessions_keep_no_descriptors(harness: OciHarness) -> None:
    container = await started(harness, replace(harness.running("a"), stdin=True))

    async def talk(tty: bool) -> None:
        for command in (("sleep", "77"), ("true",)):
            session = await harness.runtime.exec(container.id, asked(*command, stdin=True, tty=tty))
            await session.resize(80, 24)
            await session.close()
        with pytest.raises(RuntimeFailure):
            await harness.runtime.exec(container.id, asked("nope", stdin=True, tty=tty))
        await (await harness.runtime.attach(container.id, asked(stdin=True))).close()

    await talk(True)
    held = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in map(int, _descriptors())}
    for tty in (True, False):
        await talk(tty)
    assert len(_descriptors()) <= len(held), held


def _descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]


async def test_usage_is_that_of_the_containers(harness: OciHarness) -> None:
    assert isinstance(harness.runtime, CanMeasure)
    assert (await harness.runtime.usage())[1] == {}
    container = await started(harness)
    node, each = await harness.runtime.usage()
    usage = each[container.id]
    assert usage.cpu_ns > 0
    assert 0 < usage.rss_bytes <= usage.working_set_bytes <= usage.memory_bytes
    assert node is not None
    assert node.cpu_ns > 0
