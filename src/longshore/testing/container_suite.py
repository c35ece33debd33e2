"""What every driver of real containers must do beyond the suite of all runtimes (runtime_suite.py).

class TestOci(ContainerSuite): ...
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from longshore.machinery.runtime.protocol import (
    CanExec,
    CanRotate,
    CanUpdate,
    Container,
    ContainerSpec,
    Pids,
    Resources,
    Runtime,
    RuntimeFailure,
)
from longshore.testing.runtime_suite import Harness, RuntimeSuite, one, refused

_MIB = 1 << 20
_LIMITS = Resources(cpu_shares=512, cpu_limit_millis=500, memory_limit_bytes=64 * _MIB)
_FOREVER = "trap 'exit 143' TERM; echo ready; while true; do sleep 0.02; done"


class ContainerHarness(Harness, Protocol):
    """How the suite drives a driver of real containers, which have a shell."""

    def shell(self, name: str, script: str) -> ContainerSpec: ...


class ContainerSuite(RuntimeSuite):
    """The common part of real containers."""

    async def test_limits_change_while_it_runs(self, harness: ContainerHarness) -> None:
        started = await _started(harness, replace(harness.running("main"), resources=_LIMITS))
        runtime = harness.runtime
        assert isinstance(runtime, CanUpdate)
        assert await _limits(runtime, started) == (64 * _MIB, 500)
        await runtime.update_container(started.id, Resources(256, 250, 32 * _MIB))
        assert await _limits(runtime, started) == (32 * _MIB, 250)
        await runtime.update_container(started.id, Resources(1024, 2000, 128 * _MIB))
        assert await _limits(runtime, started) == (128 * _MIB, 2000)

    async def test_less_memory_than_is_in_use_is_refused(self, harness: ContainerHarness) -> None:
        script = f"head -c {40 * _MIB} /dev/zero >/dev/shm/held; {_FOREVER}"
        started = await _started(harness, replace(harness.shell("main", script), resources=_LIMITS))
        runtime = harness.runtime
        assert isinstance(runtime, CanUpdate)
        update = runtime.update_container
        less = Resources(256, 250, 16 * _MIB)
        await refused(lambda: update(started.id, less), RuntimeFailure)
        assert await _limits(runtime, started) == (64 * _MIB, 500)

    async def test_what_does_not_run_has_no_limits_to_change(
        self, harness: ContainerHarness
    ) -> None:
        runtime = harness.runtime
        assert isinstance(runtime, CanUpdate)
        update = runtime.update_container
        await refused(lambda: update("0" * 64, _LIMITS), RuntimeFailure)

    async def test_a_log_goes_on_in_another_file(self, harness: ContainerHarness) -> None:
        script = "echo ready; i=0; while true; do echo $i; i=$((i+1)); sleep 0.002; done"
        started = await _started(harness, harness.shell("main", script))
        runtime, log = harness.runtime, Path(started.log_path)
        assert isinstance(runtime, CanRotate)
        for number in (1, 2):
            log.rename(log.with_name(f"old.{number}"))
            await runtime.reopen_log(started.id)
            await _until_said(log, "")
        await runtime.stop_container(started.id, 0)
        files = (log.with_name("old.1"), log.with_name("old.2"), log)
        lines = [line.split(" ", 3)[3] for file in files for line in file.read_text().splitlines()]
        assert lines[1:] == [str(number) for number in range(len(lines) - 1)]

    async def test_a_container_is_stopped_by_its_own_signal(
        self, harness: ContainerHarness
    ) -> None:
        script = "trap 'exit 7' USR1; echo ready; while true; do sleep 0.02; done"
        spec = replace(harness.shell("main", script), stop_signal="SIGUSR1")
        started = await _started(harness, spec)
        await harness.reopen()
        await harness.runtime.stop_container(started.id, 5.0)
        assert (await one(harness.runtime, started.id)).exit_code == 7

    async def test_containers_of_a_pod_may_see_each_others_processes(
        self, harness: ContainerHarness
    ) -> None:
        for pids, seen in ((Pids.POD, b"1"), (Pids.CONTAINER, b"0")):
            sandbox = replace(harness.sandbox(pids.value), pids=pids)
            await harness.runtime.run_sandbox(sandbox)
            first = harness.shell("first", f": first; {_FOREVER}")
            await harness.runtime.start_container(sandbox.id, first)
            second = await harness.runtime.start_container(sandbox.id, harness.running("second"))
            look = "cat /proc/[0-9]*/cmdline 2>/dev/null | grep -c ': firs[t]'"
            assert (await _said(harness.runtime, second, look)).strip() == seen

    async def test_kernel_parameters_of_a_pod(self, harness: ContainerHarness) -> None:
        wanted = {"kernel.msgmax": "16384", "net.ipv4.ip_local_port_range": "20000 30000"}
        sandbox = replace(harness.sandbox("a"), sysctls=wanted)
        await harness.runtime.run_sandbox(sandbox)
        main = await harness.runtime.start_container(sandbox.id, harness.running("main"))
        look = "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_local_port_range"
        assert (await _said(harness.runtime, main, look)).split() == [b"16384", b"20000", b"30000"]


async def _started(harness: ContainerHarness, spec: ContainerSpec) -> Container:
    """In a sandbox of its own, once it is ready."""
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = await harness.runtime.start_container(sandbox.id, spec)
    await harness.ready(started)
    return started


async def _said(runtime: Runtime, container: Container, script: str) -> bytes:
    assert isinstance(runtime, CanExec)
    return (await runtime.exec_sync(container.id, ["/bin/sh", "-c", script], 20.0))[1]


async def _limits(runtime: Runtime, container: Container) -> tuple[int, int]:
    """(bytes of memory, thousandths of a CPU) as the container's own control group has them."""
    look = (
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us "
        "cpu/cpu.cfs_period_us 2>/dev/null || cat memory.max cpu.max"
    )
    memory, quota, period = (int(word) for word in (await _said(runtime, container, look)).split())
    return memory, quota * 1000 // period


async def _until_said(log: Path, word: str) -> None:
    """Return once there is a line with that word."""
    async with asyncio.timeout(60):
        while word not in (text := log.read_text()) or "\n" not in text:
            await asyncio.to_thread(log.stat)
