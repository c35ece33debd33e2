"""What programs in real containers find, and how one talks to them: passed by each driver that runs any, beside
container_suite.py.

Its image is a busybox (/bin/sh and the usual) with GREETING=hello in its environment, and the user web,
who is 101 of the groups 102 and 300.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from longshore.base.clock import SystemClock
from longshore.core.streams.protocols import ExecOptions, LogOptions, Session
from longshore.machinery.runtime import logs
from longshore.machinery.runtime.protocol import (
    CanExec,
    CanMeasure,
    CanTalk,
    Container,
    ContainerSpec,
    ImageMissing,
    Mount,
    Resources,
    Runtime,
    RuntimeFailure,
    Sandbox,
    Security,
    StartFailed,
    State,
)
from longshore.testing.container_suite import ContainerHarness
from longshore.testing.runtime_suite import one, refused, until_ended

_PATIENCE_S = 60.0
_CLOCK = SystemClock()


class ProgramHarness(ContainerHarness, Protocol):
    """How the suite drives a driver of real containers."""

    root: Path
    """An empty directory."""


class Talking(CanExec, CanTalk, Protocol):
    """A runtime that one can talk to."""


async def begun(harness: ProgramHarness, spec: ContainerSpec) -> tuple[Sandbox, Container]:
    """The container, in a sandbox of its own."""
    sandbox = await harness.runtime.run_sandbox(harness.sandbox(spec.name))
    return sandbox, await harness.runtime.start_container(sandbox.id, spec)


async def finished(harness: ProgramHarness, spec: ContainerSpec) -> Container:
    """Run it to its end."""
    _, started = await begun(harness, spec)
    return await until_ended(harness, started.id, 0.0)


async def output(harness: ProgramHarness, spec: ContainerSpec) -> list[str]:
    """What it said until its end."""
    await finished(harness, spec)
    return await said(spec)


async def said(spec: ContainerSpec) -> list[str]:
    pieces = logs.read(Path(spec.log_path), LogOptions(), _CLOCK, lambda: True)
    return b"".join([piece async for piece in pieces]).decode().splitlines()


def talking(runtime: Runtime) -> Talking:
    assert isinstance(runtime, CanExec) and isinstance(runtime, CanTalk)
    return runtime


def asked(*command: str, stdin: bool = False, tty: bool = False) -> ExecOptions:
    return ExecOptions(command, stdin=stdin, stdout=True, stderr=not tty, tty=tty)


async def heard(session: Session, until: bytes = b"") -> dict[int, bytes]:
    """All that it says, by stream; or what it said when stdout has that word."""
    found = {1: b"", 2: b""}
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            stream, piece = await session.read()
            if not stream:
                return found
            found[stream] += piece
            if until and until in found[1]:
                return found


class ProgramSuite:
    """The common part of drivers that run programs."""

    # -- what a program finds --

    async def test_environment_directory_and_hostname(self, harness: ProgramHarness) -> None:
        spec = harness.shell(
            "a", 'echo "$GREETING $MINE $HOME $HOSTNAME"; echo $PATH; pwd; hostname'
        )
        spec = replace(spec, env=(("MINE", "x y"), ("GREETING", "bye")), working_dir="/srv/deep")
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        lines = await output(harness, spec)
        assert lines == ["bye x y /root host-a", path, "/srv/deep", "host-a"]

    async def test_users_and_groups_are_those_asked_for(self, harness: ProgramHarness) -> None:
        for user, extra, wanted in (
            ("web", (), {"uid=101(web)", "gid=102(web)", "300(extra)"}),
            ("101:7", (500,), {"uid=101(web)", "gid=7", "500"}),
            ("4000", (), {"uid=4000", "gid=0(root)"}),
        ):
            spec = replace(harness.shell(f"u{len(user)}", "id"), security=Security(user, extra))
            (line,) = await output(harness, spec)
            assert wanted <= set(line.replace(",", " ").replace("groups=", "").split()), line

    async def test_security_that_is_asked_for_is_had(self, harness: ProgramHarness) -> None:
        wanted = Security(
            no_new_privileges=True, drop_capabilities=("ALL",), add_capabilities=("CHOWN",)
        )
        spec = replace(harness.shell("a", "cat /proc/self/status"), security=wanted)
        status = dict(line.split(":\t", 1) for line in await output(harness, spec) if ":\t" in line)
        assert status["CapEff"] == status["CapBnd"] == "0000000000000001"
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")

    async def test_a_privileged_program_may_mount(self, harness: ProgramHarness) -> None:
        security = Security(privileged=True, seccomp_unconfined=True)
        script = "mkdir -p /m; mount -t tmpfs none /m && echo mounted"
        spec = replace(harness.shell("a", script), security=security)
        assert await output(harness, spec) == ["mounted"]

    async def test_root_and_mounts_that_are_read_only(self, harness: ProgramHarness) -> None:
        source = harness.root / "data"
        source.mkdir()
        script = (
            "echo x > /rw/file && cat /ro/file; touch /ro/no || echo kept; touch /no || echo kept"
        )
        mounts = (Mount(str(source), "/rw"), Mount(str(source), "/ro", read_only=True))
        security = Security(read_only_root=True)
        spec = replace(harness.shell("a", script), mounts=mounts, security=security)
        lines = await output(harness, spec)
        assert [line for line in lines if ":" not in line] == ["x", "kept", "kept"]

    async def test_a_debugger_sees_its_target(self, harness: ProgramHarness) -> None:
        sandbox, main = await begun(harness, harness.running("main"))
        await harness.ready(main)
        spec = replace(harness.shell("debug", "cat /proc/1/cmdline"), pid_of="main")
        started = await harness.runtime.start_container(sandbox.id, spec)
        await until_ended(harness, started.id, 0.0)
        assert "trap" in "".join(await said(spec))
        late = replace(spec, name="late", pid_of="nobody")
        start = harness.runtime.start_container
        words = await refused(lambda: start(sandbox.id, late), StartFailed)
        assert words == "target container nobody is not running"

    # -- starts that fail, ends --

    async def test_what_cannot_be_started_leaves_nothing(self, harness: ProgramHarness) -> None:
        sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
        spec = replace(harness.shell("a", ""), command=("/no/such/program",))
        start = harness.runtime.start_container
        assert (
            "no such file" in (await refused(lambda: start(sandbox.id, spec), StartFailed)).lower()
        )
        strange = replace(spec, image="nowhere.test/nothing:1")
        words = await refused(lambda: start(sandbox.id, strange), ImageMissing)
        assert words == 'image "nowhere.test/nothing:1" is not on this node'
        assert await harness.runtime.containers() == []

    async def test_who_does_not_listen_is_killed(self, harness: ProgramHarness) -> None:
        script = "trap '' TERM; echo ready; while true; do sleep 0.02; done"
        _, container = await begun(harness, harness.shell("a", script))
        await harness.ready(container)
        await harness.runtime.stop_container(container.id, 0.2)
        ended = await one(harness.runtime, container.id)
        assert (ended.state, ended.exit_code) == (State.EXITED, 137)

    async def test_too_much_memory_is_the_reason(self, harness: ProgramHarness) -> None:
        limits = Resources(memory_limit_bytes=16 << 20)
        spec = replace(harness.shell("a", ""), command=("/bin/tail", "/dev/zero"), resources=limits)
        ended = await finished(harness, spec)
        assert (ended.exit_code, ended.reason) == (137, "OOMKilled")

    # -- talking --

    async def test_a_command_is_run_and_waited_for(self, harness: ProgramHarness) -> None:
        runtime = talking(harness.runtime)
        _, container = await begun(harness, harness.running("a"))
        script = ["/bin/sh", "-c", "echo $GREETING; echo bad >&2; exit 3"]
        code, words = await runtime.exec_sync(container.id, script, 10.0)
        assert (code, sorted(words.splitlines())) == (3, [b"bad", b"hello"])
        late = await refused(
            lambda: runtime.exec_sync(container.id, ["sleep", "60"], 1.0), RuntimeFailure
        )
        assert late == "the command did not end within 1 s and was killed"

    async def test_a_command_has_outputs_and_an_exit_code(self, harness: ProgramHarness) -> None:
        runtime = talking(harness.runtime)
        _, container = await begun(harness, harness.running("a"))
        for script, outputs, code in (
            ("echo good; echo bad >&2; exit 7", {1: b"good\n", 2: b"bad\n"}, 7),
            ("true", {1: b"", 2: b""}, 0),
            ("kill -9 $$", {1: b"", 2: b""}, 137),
        ):
            session = await runtime.exec(container.id, asked("/bin/sh", "-c", script))
            assert await heard(session) == outputs
            assert await session.exit_code() == code
            await session.close()

    async def test_a_command_reads_its_input_to_the_end(self, harness: ProgramHarness) -> None:
        runtime = talking(harness.runtime)
        _, container = await begun(harness, harness.running("a"))
        session = await runtime.exec(container.id, asked("cat", stdin=True))
        sent = os.urandom(2_000_000)

        async def send() -> None:
            await session.write(sent)
            await session.close_stdin()

        async with asyncio.TaskGroup() as crew:
            crew.create_task(send())
            found = await heard(session)
        assert found[1] == sent
        assert await session.exit_code() == 0
        await session.close()

    async def test_a_terminal_is_resized(self, harness: ProgramHarness) -> None:
        runtime = talking(harness.runtime)
        _, container = await begun(harness, harness.running("a"))
        script = "trap 'stty size' WINCH; test -t 0 && echo $TERM; while true; do sleep 0.02; done"
        options = asked("/bin/sh", "-c", script, stdin=True, tty=True)
        session = await runtime.exec(container.id, options)
        await heard(session, b"xterm")
        await session.resize(101, 33)
        assert b"33 101" in (await heard(session, b"101"))[1]
        await session.write(b"\x03")
        async with asyncio.timeout(_PATIENCE_S):
            assert await session.exit_code() == 130
        await session.close()

    async def test_who_attaches_hears_and_is_heard(self, harness: ProgramHarness) -> None:
        runtime = talking(harness.runtime)
        script = "while read line; do echo got $line; echo err $line >&2; done; echo over"
        spec = replace(harness.shell("a", script), stdin=True, stdin_once=True)
        _, container = await begun(harness, spec)
        options = ExecOptions(stdin=True, stdout=True, stderr=True)
        session = await runtime.attach(container.id, options)
        await session.write(b"one\n")
        first = await heard(session, b"got one\n")
        await session.write(b"two\n")
        await session.close_stdin()
        rest = await heard(session)
        assert first[1] + rest[1] == b"got one\ngot two\nover\n"
        assert first[2] + rest[2] == b"err one\nerr two\n"
        assert await session.exit_code() is None
        await session.close()

    # -- figures --

    async def test_what_containers_use(self, harness: ProgramHarness) -> None:
        runtime = harness.runtime
        assert isinstance(runtime, CanMeasure)
        _, container = await begun(harness, harness.shell("a", "while true; do true; done"))
        await _CLOCK.sleep(0.2)
        total, each = await runtime.usage()
        assert total is not None
        assert list(each) == [container.id]
        assert min(total.cpu_ns, each[container.id].cpu_ns) > 10_000_000
        assert 0 < each[container.id].working_set_bytes < 50 << 20
