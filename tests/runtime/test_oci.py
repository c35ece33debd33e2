"""The oci driver against real conmon, runc and busybox."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from longshore.base.clock import SystemClock
from longshore.core.streams.protocols import LogOptions
from longshore.machinery.runtime import logs
from longshore.machinery.runtime.images import ImageStore
from longshore.machinery.runtime.oci import OciRuntime, cgroups, destroy_all, leftovers
from longshore.machinery.runtime.protocol import (
    CanExec,
    Container,
    ContainerSpec,
    Mount,
    Resources,
    RuntimeFailure,
    SandboxSpec,
    Security,
    StartFailed,
    State,
)
from longshore.testing.container_suite import ContainerSuite
from longshore.testing.program_suite import ProgramSuite
from longshore.testing.runtime_suite import one, until_ended
from tests.runtime.groups import gone
from tests.runtime.unified import UnifiedSuite

pytestmark = [pytest.mark.root, pytest.mark.slow]

# A shell as process 1 hears only the signals it asked for.
FOREVER = "trap 'exit 143' TERM; echo ready; while true; do sleep 0.02; done"


class OciHarness:
    """only: the one maker of containers that it may use."""

    def __init__(
        self, root: Path, images: ImageStore, netns: str, cgroup_parent: str, only: str = ""
    ) -> None:
        self.root = root
        self.only = only
        self.images = images
        self.netns = netns
        self.cgroup_parent = cgroup_parent
        self.said: list[str] = []
        self.runtime = self.make()

    def make(self, log_max_bytes: int = 1 << 20) -> OciRuntime:
        made = OciRuntime(
            self.root / "runtime",
            self.images,
            SystemClock(),
            cgroup_parent=f"{self.cgroup_parent}/n1",
            log=self.said.append,
            log_max_bytes=log_max_bytes,
        )
        made.only = self.only
        return made

    async def reopen(self) -> OciRuntime:
        await self.runtime.close()
        self.runtime = self.make()
        await self.runtime.open()
        return self.runtime

    async def passing(self, seconds: float) -> None:
        """Real time passes by itself."""

    async def ready(self, container: Container) -> None:
        await self.heard(container, "ready")

    async def heard(self, container: Container, word: str) -> None:
        """Return once a container has said it."""
        async with asyncio.timeout(60):
            while word not in Path(container.log_path).read_text():
                await SystemClock().sleep(0.005)

    def pod_group(self, sandbox: str) -> str:
        return f"{self.cgroup_parent}/n1/besteffort/pod{sandbox}"

    def sandbox(self, name: str) -> SandboxSpec:
        return SandboxSpec(f"uid-{name}", "default", name, f"host-{name}", self.netns)

    def shell(self, name: str, script: str) -> ContainerSpec:
        log = str(self.root / "logs" / f"{name}.log")
        return ContainerSpec(name, "busybox:1.35", log, command=("/bin/sh", "-c", script))

    def running(self, name: str) -> ContainerSpec:
        return self.shell(name, FOREVER)

    def ending(self, name: str, code: int, after_s: float) -> ContainerSpec:
        return self.shell(name, f"sleep {after_s}; exit {code}")

    async def finished(self, spec: ContainerSpec) -> Container:
        """Run it to its end in a sandbox of its own."""
        sandbox = await self.runtime.run_sandbox(self.sandbox(spec.name))
        started = await self.runtime.start_container(sandbox.id, spec)
        return await until_ended(self, started.id, 0.0)

    async def output(self, spec: ContainerSpec) -> list[str]:
        """What it said until its end."""
        await self.finished(spec)
        pieces = logs.read(Path(spec.log_path), LogOptions(), SystemClock(), lambda: True)
        return b"".join([piece async for piece in pieces]).decode().splitlines()

    def pid(self, container: Container, file: str = "pid") -> int:
        return int((self.root / "runtime" / "run" / "containers" / container.id / file).read_text())


@pytest.fixture
async def harness(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    images: ImageStore,
    netns: str,
    cgroup_parent: str,
) -> AsyncIterator[OciHarness]:
    made = OciHarness(tmp_path, images, netns, cgroup_parent, getattr(request, "param", ""))
    await made.runtime.open()
    yield made
    await made.runtime.close()
    destroy_all(tmp_path / "runtime", cgroup_parent)
    assert leftovers(tmp_path / "runtime", cgroup_parent) == []


@pytest.mark.parametrize("harness", ["runc", "crun"], indirect=True)
class TestOci(ContainerSuite):
    pass


@pytest.mark.parametrize("harness", ["runc", "crun"], indirect=True)
class TestOciPrograms(ProgramSuite):
    pass


@pytest.mark.parametrize("harness", ["runc", "crun"], indirect=True)
class TestOciUnified(UnifiedSuite):
    pass


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("web", "uid=101(web) gid=102(web) groups=300(extra)"),
        ("4000", "uid=4000 gid=0(root)"),
        ("101:7", "uid=101(web) gid=7"),
    ],
)
async def test_users_are_looked_up_in_the_image(harness: OciHarness, user: str, said: str) -> None:
    spec = replace(harness.shell("a", "id"), security=Security(user=user))
    (found,) = await harness.output(spec)
    assert set(said.split()) <= set(
        found.replace(",", " ").replace("groups=102(web) ", "groups=").split()
    )


async def status(harness: OciHarness, security: Security, name: str = "a") -> dict[str, str]:
    """What the kernel says of a process that is confined like that."""
    spec = replace(harness.shell(name, "cat /proc/self/status"), security=security)
    return dict(line.split(":\t", 1) for line in await harness.output(spec) if ":\t" in line)


async def test_a_container_is_confined_by_default(harness: OciHarness) -> None:
    found = await status(harness, Security())
    assert found["CapEff"] == found["CapBnd"] == "00000000a80425fb"  # Docker's fourteen
    assert found["CapInh"] == found["CapAmb"] == "0000000000000000"
    assert found["Seccomp"] == "2"
    assert found["NoNewPrivs"] == "0"


async def test_what_security_asks_for_is_what_it_gets(harness: OciHarness) -> None:
    asked = Security(
        user="101", no_new_privileges=True, drop_capabilities=("ALL",), seccomp_unconfined=True
    )
    found = await status(harness, asked)
    assert found["CapEff"] == found["CapBnd"] == "0000000000000000"
    assert (found["Seccomp"], found["NoNewPrivs"]) == ("0", "1")


async def test_new_namespaces_are_refused_by_seccomp(harness: OciHarness) -> None:
    said = await harness.output(harness.shell("a", "unshare -U true 2>&1; echo $?"))
    assert said[-1] == "1"
    assert "Operation not permitted" in said[0]


async def test_a_privileged_container_has_the_machine(harness: OciHarness) -> None:
    spec = replace(
        harness.shell("a", "unshare -m true && touch /sys/fs/cgroup && ls /dev/kmsg"),
        security=Security(privileged=True),
    )
    assert await harness.output(spec) == ["/dev/kmsg"]


async def test_devices_and_kernel_files_are_out_of_reach(harness: OciHarness) -> None:
    script = (
        "ls /dev; cat /proc/timer_list | wc -c; touch /proc/sys/x /sys/x 2>&1 | grep -c Read-only"
    )
    said = await harness.output(harness.shell("a", script))
    assert said[-2:] == ["0", "1"] or said[-2:] == ["0", "2"]
    assert set(said[:-2]) - {"core"} == {
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero",
    }  # fmt: skip


async def test_roots_and_mounts_can_be_read_only(harness: OciHarness) -> None:
    (harness.root / "data").mkdir()
    (harness.root / "data" / "file").write_text("from outside\n")
    script = "touch /new 2>&1; cat /data/file; touch /data/new 2>&1; touch /rw/new && echo wrote"
    data = str(harness.root / "data")
    spec = replace(
        harness.shell("a", script),
        security=Security(read_only_root=True),
        mounts=(Mount(data, "/data", read_only=True), Mount(data, "/rw")),
    )
    said = await harness.output(spec)
    # A root that is read-only cannot get the mount points either: runc makes them in the upper layer.
    assert said == [
        "touch: /new: Read-only file system",
        "from outside",
        "touch: /data/new: Read-only file system",
        "wrote",
    ]
    assert (harness.root / "data" / "new").exists()


async def test_what_a_container_writes_is_on_disk_and_goes_with_it(harness: OciHarness) -> None:
    spec = harness.shell("a", f"echo mine >/kept; {FOREVER}")
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = await harness.runtime.start_container(sandbox.id, spec)
    await harness.ready(started)
    root = harness.root / "runtime"
    written = root / "written" / started.id
    assert (written / "upper" / "kept").read_text() == "mine\n"
    assert written.stat().st_dev == harness.root.stat().st_dev != (root / "run").stat().st_dev
    await harness.runtime.stop_container(started.id, 0)
    await harness.runtime.remove_container(started.id)
    assert not written.exists()


async def test_a_pod_shares_its_memory_and_its_name(harness: OciHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    writer = harness.shell("writer", f"echo shared >/dev/shm/note; {FOREVER}")
    first = await harness.runtime.start_container(sandbox.id, writer)
    reader = harness.shell("reader", f"until cat /dev/shm/note; do sleep 0.02; done; {FOREVER}")
    second = await harness.runtime.start_container(sandbox.id, reader)

    def spaces(container: Container) -> list[str]:
        return [
            os.readlink(f"/proc/{harness.pid(container)}/ns/{kind}")
            for kind in ("ipc", "uts", "net")
        ]

    assert spaces(first) == spaces(second)
    assert os.readlink("/proc/self/ns/ipc") not in spaces(first)
    await harness.reopen()
    third = await harness.runtime.start_container(sandbox.id, harness.running("third"))
    assert spaces(third) == spaces(first)


LIMITS = Resources(cpu_shares=512, cpu_limit_millis=250, memory_limit_bytes=32 << 20, pids_limit=70)
# Version 1 of control groups, and version 2.
WRITTEN = (
    {
        "cpu.shares": "512",
        "cpu.cfs_quota_us": "25000",
        "memory.limit_in_bytes": str(32 << 20),
        "pids.max": "70",
    },
    {"cpu.weight": "20", "cpu.max": "25000 100000", "memory.max": str(32 << 20), "pids.max": "70"},
)


def limits_of(group: str) -> dict[str, str]:
    """What a control group says of its own."""
    files = (
        path
        for mounted in cgroups.hierarchies().values()
        for path in (mounted / group.lstrip("/")).glob("*")
    )
    known = {name for values in WRITTEN for name in values}
    return {path.name: path.read_text().strip() for path in files if path.name in known}


async def test_limits_reach_the_kernel(harness: OciHarness) -> None:
    spec = replace(harness.running("a"), resources=LIMITS)
    asked = replace(harness.sandbox("a"), qos="Burstable", resources=LIMITS)
    sandbox = await harness.runtime.run_sandbox(asked)
    started = await harness.runtime.start_container(sandbox.id, spec)
    group = f"{harness.cgroup_parent}/n1/burstable/pod{sandbox.id}"
    assert limits_of(f"{group}/{started.id}") in WRITTEN
    assert limits_of(group) in WRITTEN


@pytest.mark.parametrize(
    ("qos", "below"),
    [("Guaranteed", ""), ("Burstable", "/burstable"), ("BestEffort", "/besteffort")],
)
async def test_a_pods_class_says_where_its_group_is(
    harness: OciHarness, qos: str, below: str
) -> None:
    asked = replace(harness.sandbox("a"), qos=qos, resources=Resources(cpu_shares=300))
    sandbox = await harness.runtime.run_sandbox(asked)
    started = await harness.runtime.start_container(sandbox.id, harness.running("a"))
    group = f"{harness.cgroup_parent}/n1{below}/pod{sandbox.id}"
    assert harness.pid(started) in cgroups.processes(group)
    await harness.reopen()
    await harness.runtime.stop_container(started.id, 0)
    await harness.runtime.remove_sandbox(sandbox.id)
    assert cgroups.existing(group) == []


async def test_classes_weigh_what_their_pods_ask_for(harness: OciHarness) -> None:
    for name, shares in (("a", 300), ("b", 200)):
        asked = Resources(cpu_shares=shares)
        await harness.runtime.run_sandbox(
            replace(harness.sandbox(name), qos="Burstable", resources=asked)
        )
    await harness.runtime.update_sandbox("uid-a", Resources(cpu_shares=400))
    await harness.runtime.close()  # what is written aside is written by then
    parent = f"{harness.cgroup_parent}/n1"
    found = [limits_of(f"{parent}/{tier}") for tier in ("burstable", "besteffort")]
    weights = [each.get("cpu.shares") or each["cpu.weight"] for each in found]
    assert weights in (["600", "2"], ["23", "1"])


async def test_too_much_memory_is_named_as_the_cause(harness: OciHarness) -> None:
    spec = replace(
        harness.shell("a", "tail /dev/zero"), resources=Resources(memory_limit_bytes=16 << 20)
    )
    spec = replace(spec, command=("/bin/tail", "/dev/zero"))
    done = await harness.finished(spec)
    assert (done.exit_code, done.reason) == (137, "OOMKilled")
    await harness.reopen()
    assert await one(harness.runtime, done.id) == done


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"command": ("/nope",)}, "executable file `/nope` not found"),
        ({"security": Security(user="nobody-here")}, 'no user "nobody-here" in /etc/passwd'),
        ({"security": Security(add_capabilities=("FLY",))}, 'there is no capability "FLY"'),
        ({"mounts": (Mount("/no/such/place", "/data"),)}, "/no/such/place"),
    ],
)
async def test_a_start_that_fails_says_why_and_leaves_nothing(
    harness: OciHarness, change: dict[str, Any], words: str
) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    before = leftovers(harness.root / "runtime", harness.pod_group(sandbox.id))
    spec = replace(harness.running("a"), **change)
    with pytest.raises(StartFailed) as caught:
        await harness.runtime.start_container(sandbox.id, spec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    after = leftovers(harness.root / "runtime", harness.pod_group(sandbox.id))
    assert [line for line in after if not line.startswith("control group")] == before
    await harness.runtime.start_container(sandbox.id, harness.running("a"))


async def test_a_cancelled_start_leaves_nothing(harness: OciHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    for turns in (1, 3, 6):
        async with asyncio.TaskGroup() as group:
            start = group.create_task(
                harness.runtime.start_container(sandbox.id, harness.running("a"))
            )
            for _ in range(turns):
                await SystemClock().sleep(0.002)
            if not start.cancel():  # the machine stood still meanwhile: it had been over by then
                await harness.runtime.stop_container(start.result().id, 0)
                await harness.runtime.remove_container(start.result().id)
        assert list((harness.root / "runtime" / "run" / "containers").iterdir()) == []
        assert await harness.runtime.containers() == []
    await harness.runtime.start_container(sandbox.id, harness.running("a"))


async def test_what_ends_while_the_agent_is_away_is_found_ended(harness: OciHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = await harness.runtime.start_container(sandbox.id, harness.running("main"))
    await harness.ready(started)
    keeper = os.pidfd_open(harness.pid(started, "conmon.pid"))
    await harness.runtime.close()
    os.kill(harness.pid(started), signal.SIGTERM)
    await readable(keeper)
    harness.runtime = harness.make()
    await harness.runtime.open()
    found = await one(harness.runtime, started.id)
    assert (found.state, found.exit_code, found.started_at) == (
        State.EXITED,
        143,
        started.started_at,
    )


async def test_a_container_that_lost_its_conmon_is_ended_and_said_so(harness: OciHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = await harness.runtime.start_container(sandbox.id, harness.running("main"))
    os.kill(harness.pid(started, "conmon.pid"), signal.SIGKILL)
    done = await until_ended(harness, started.id, 0.0)
    assert (done.exit_code, done.reason) == (255, "Unknown")
    assert harness.said == [
        f"container {started.id[:12]}: its conmon is gone and left no exit code"
    ]
    await harness.reopen()
    assert await one(harness.runtime, started.id) == done
    assert len(harness.said) == 1
    await gone(harness.pod_group(sandbox.id))
    await harness.runtime.remove_container(started.id)
    assert await harness.runtime.containers() == []


async def test_what_was_half_made_is_thrown_away(harness: OciHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = await harness.runtime.start_container(sandbox.id, harness.running("main"))
    directory = harness.root / "runtime" / "run" / "containers" / started.id
    await harness.runtime.close()
    (directory / "started").unlink()  # as if the agent had died just before it wrote this
    harness.runtime = harness.make()
    await harness.runtime.open()
    assert await harness.runtime.containers() == []
    assert not directory.exists()
    assert not cgroups.existing(f"{harness.pod_group(sandbox.id)}/{started.id}")


async def test_a_clusters_end_leaves_nothing_of_it(harness: OciHarness) -> None:
    for name in ("a", "b"):
        sandbox = await harness.runtime.run_sandbox(harness.sandbox(name))
        await harness.runtime.start_container(sandbox.id, harness.running("main"))
    await harness.runtime.close()
    root = harness.root / "runtime"
    kinds = [line.partition(" ")[0] for line in leftovers(root, harness.cgroup_parent)]
    assert kinds.count("process") >= 4  # two containers, their conmons
    assert kinds.count("mount") == 6  # root, records, two overlays, two shared memories
    assert kinds[-1] == "directory"
    destroy_all(root, harness.cgroup_parent)
    assert leftovers(root, harness.cgroup_parent) == []
    destroy_all(root, harness.cgroup_parent)


@pytest.mark.parametrize("parent", ["", "/", "a/../b", "//", "a//b", ".."])
def test_a_control_group_that_is_not_ours_is_refused(tmp_path: Path, parent: str) -> None:
    with pytest.raises(ValueError, match="not the path of a control group of our own"):
        destroy_all(tmp_path, parent)
    assert tmp_path.exists()


async def test_many_start_at_once(harness: OciHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    async with asyncio.TaskGroup() as group:
        for index in range(20):
            group.create_task(
                harness.runtime.start_container(sandbox.id, harness.running(f"c{index}"))
            )
    states = [each.state for each in await harness.runtime.containers()]
    assert states == [State.RUNNING] * 20


async def test_following_a_log_ends_with_the_container(harness: OciHarness) -> None:
    spec = harness.shell("a", "echo one; sleep 0.3; echo two >&2; exit 0")
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = await harness.runtime.start_container(sandbox.id, spec)
    ended = asyncio.Event()
    pieces: list[bytes] = []

    async def follow() -> None:
        options = LogOptions(follow=True)
        async for piece in logs.read(Path(spec.log_path), options, SystemClock(), ended.is_set):
            pieces.append(piece)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(follow())
        await until_ended(harness, started.id, 0.0)
        ended.set()
    assert b"".join(pieces) == b"one\ntwo\n"
    assert len(pieces) == 2


async def readable(fd: int) -> None:
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, ready.set)
    await ready.wait()
    loop.remove_reader(fd)
    os.close(fd)


async def test_a_command_runs_as_the_container_does(harness: OciHarness) -> None:
    spec = replace(
        harness.running("a"),
        env=(("MINE", "x"),),
        working_dir="/tmp",
        security=Security(user="web"),
    )
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = await harness.runtime.start_container(sandbox.id, spec)
    script = "echo $MINE; pwd; id -u; echo wrong >&2; exit 4"
    found = await harness.runtime.exec_sync(started.id, ["/bin/sh", "-c", script], 10.0)
    # The two streams are pipes of their own: only within one is the order known.
    assert (found[0], sorted(found[1].split())) == (4, [b"/tmp", b"101", b"wrong", b"x"])
    code, said = await harness.runtime.exec_sync(started.id, ["nope"], 10.0)
    assert code != 0
    assert re.search(b"nope.* not found in .PATH", said)
    code, said = await harness.runtime.exec_sync(
        started.id, ["tail", "-c", "99999", "/bin/busybox"], 10.0
    )
    assert (code, len(said)) == (0, 10 * 1024)


async def test_a_command_that_takes_too_long_is_killed(harness: OciHarness) -> None:
    assert isinstance(harness.runtime, CanExec)
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = await harness.runtime.start_container(sandbox.id, harness.running("a"))
    with pytest.raises(RuntimeFailure, match=r"did not end within 0\.3 s and was killed"):
        await harness.runtime.exec_sync(started.id, ["sleep", "77"], 0.3)
    await gone(harness.pod_group(sandbox.id), b"sleep\x0077\x00")
    await harness.runtime.stop_container(started.id, 0)
    with pytest.raises(RuntimeFailure, match="is not running"):
        await harness.runtime.exec_sync(started.id, ["true"], 1.0)


async def test_a_log_does_not_outgrow_its_bound(harness: OciHarness) -> None:
    await harness.runtime.close()
    harness.runtime = harness.make(log_max_bytes=20_000)
    await harness.runtime.open()
    spec = harness.shell("a", "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done")
    said = await harness.output(spec)
    assert said[-1] == "line 1999"
    assert Path(spec.log_path).stat().st_size <= 20_000
