"""What the containers of a pod share, and what they are given of the node, against real containers."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from longshore.machinery.runtime.oci import cgroups
from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    Device,
    Pids,
    Resources,
    RuntimeFailure,
    SandboxSpec,
    Security,
    StartFailed,
    State,
)
from longshore.testing.runtime_suite import one, until_ended
from tests.runtime.groups import gone
from tests.runtime.test_oci import FOREVER, OciHarness, harness

__all__ = ["harness"]
pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.parametrize("harness", ["runc", "crun"], indirect=True),
]


async def said_in(harness: OciHarness, sandbox: SandboxSpec, spec: ContainerSpec) -> list[str]:
    """What a container said that ran to its end in that sandbox."""
    made = await harness.runtime.run_sandbox(sandbox)
    started = await harness.runtime.start_container(made.id, spec)
    await until_ended(harness, started.id, 0.0)
    return [line.split(" ", 3)[3] for line in Path(spec.log_path).read_text().splitlines()]


def namespace(harness: OciHarness, container: Container, kind: str) -> str:
    return os.readlink(f"/proc/{harness.pid(container)}/ns/{kind}")


# -- processes ---------------------------------------------------------------------------------


async def test_a_pods_containers_may_see_each_others_processes(harness: OciHarness) -> None:
    sandbox = replace(harness.sandbox("a"), pids=Pids.POD)
    await harness.runtime.run_sandbox(sandbox)
    main = await harness.runtime.start_container(sandbox.id, harness.running("main"))
    await harness.ready(main)
    script = "cat /proc/1/comm; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^trap.*echo ready'"
    script = script.replace("echo", "ech[o]")  # which is not what it looks for itself
    said = await said_in(harness, sandbox, harness.shell("looks", script))
    assert said == ["catatonit", "1"]
    outside = await said_in(harness, harness.sandbox("b"), harness.shell("b", script))
    assert outside[-1] == "0"


async def test_who_holds_the_processes_outlives_the_agent_and_not_the_pod(
    harness: OciHarness,
) -> None:
    sandbox = replace(harness.sandbox("a"), pids=Pids.POD)
    await harness.runtime.run_sandbox(sandbox)
    first = await harness.runtime.start_container(sandbox.id, harness.running("first"))
    await harness.reopen()
    second = await harness.runtime.start_container(sandbox.id, harness.running("second"))
    assert namespace(harness, first, "pid") == namespace(harness, second, "pid")
    for each in (first, second):
        await harness.runtime.stop_container(each.id, 0)
    await harness.runtime.remove_sandbox(sandbox.id)
    assert cgroups.existing(harness.pod_group(sandbox.id)) == []


async def test_processes_that_outlive_their_container_end_with_it(harness: OciHarness) -> None:
    sandbox = replace(harness.sandbox("a"), pids=Pids.POD)
    await harness.runtime.run_sandbox(sandbox)
    spec = harness.shell("main", f"sleep 7791 & {FOREVER}")
    main = await harness.runtime.start_container(sandbox.id, spec)
    await harness.ready(main)
    await harness.runtime.stop_container(main.id, 5.0)
    await gone(f"{harness.pod_group(sandbox.id)}/{main.id}")


async def test_a_new_holder_comes_when_the_old_one_is_killed(harness: OciHarness) -> None:
    sandbox = replace(harness.sandbox("a"), pids=Pids.POD)
    await harness.runtime.run_sandbox(sandbox)
    main = await harness.runtime.start_container(sandbox.id, harness.running("main"))
    group = f"{harness.pod_group(sandbox.id)}/pause"
    (holder,) = cgroups.processes(group)
    os.kill(holder, signal.SIGKILL)
    done = await until_ended(harness, main.id, 0.0)
    assert done.exit_code == 137
    again = await harness.runtime.start_container(sandbox.id, harness.running("again"))
    assert (await one(harness.runtime, again.id)).state is State.RUNNING
    assert cgroups.processes(group) - {holder}


async def test_the_nodes_processes_and_memory(harness: OciHarness) -> None:
    sandbox = replace(harness.sandbox("a"), pids=Pids.NODE, host_ipc=True)
    await harness.runtime.run_sandbox(sandbox)
    main = await harness.runtime.start_container(sandbox.id, harness.running("main"))
    for kind in ("pid", "ipc"):
        assert namespace(harness, main, kind) == os.readlink(f"/proc/self/ns/{kind}")
    assert namespace(harness, main, "uts") != os.readlink("/proc/self/ns/uts")
    script = f"cat /proc/{os.getpid()}/comm; ls -d /proc/{harness.pid(main)}"
    said = await said_in(harness, sandbox, harness.shell("looks", script))
    assert said == [
        Path("/proc/self/comm").read_text().strip(), f"/proc/{harness.pid(main)}",
    ]  # fmt: skip


# -- kernel parameters -------------------------------------------------------------------------


async def test_kernel_parameters_are_the_pods_own(harness: OciHarness) -> None:
    wanted = {
        "kernel.shm_rmid_forced": "1",
        "kernel/msgmax": "16384",
        "net.ipv4.ip_local_port_range": "20000 30000",
    }
    before = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    sandbox = replace(harness.sandbox("a"), sysctls=wanted)
    script = (
        "cd /proc/sys; cat kernel/shm_rmid_forced kernel/msgmax net/ipv4/ip_local_port_range;"
        "touch kernel/msgmax 2>/dev/null; echo 1 2>/dev/null >kernel/msgmax || echo refused"
    )
    said = await said_in(harness, sandbox, harness.shell("looks", f"({script}) 2>/dev/null"))
    assert said == ["1", "16384", "20000\t30000", "refused"]
    assert Path("/proc/sys/net/ipv4/ip_local_port_range").read_text() == before
    await harness.reopen()  # nobody runs: the namespaces are made anew
    said = await said_in(harness, sandbox, harness.shell("again", "cat /proc/sys/kernel/msgmax"))
    assert said == ["16384"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sysctls": {"vm.swappiness": "1"}}, 'sysctl "vm.swappiness" is not in a namespace'),
        ({"sysctls": {"net/../vm/swappiness": "1"}}, "is not in a namespace of the pod"),
        ({"sysctls": {"net.ipv4.tcp_syncookies": "1"}, "host_network": True}, "host network namespace"),
        ({"sysctls": {"kernel.msgmax": "1"}, "host_ipc": True}, "host IPC namespace"),
        ({"sysctls": {"net.ipv4.no_such_thing": "1"}}, "No such file or directory"),
    ],
)  # fmt: skip
async def test_what_would_change_the_node_is_refused(
    harness: OciHarness, change: dict[str, Any], words: str
) -> None:
    asked = replace(harness.sandbox("a"), **change)
    with pytest.raises(RuntimeFailure, match=words):
        await harness.runtime.run_sandbox(asked)
    assert await harness.runtime.sandboxes() == []
    assert list((harness.root / "runtime" / "run" / "sandboxes").iterdir()) == []


# -- devices and scores ------------------------------------------------------------------------


async def test_a_device_is_there_and_may_be_used_as_it_was_given(harness: OciHarness) -> None:
    node = harness.root / "kmsg"
    subprocess.run(["mknod", str(node), "c", "1", "11"], check=True)
    script = "ls /dev/accel /dev/mine; (: </dev/mine) 2>/dev/null && echo read; (: >/dev/mine) 2>/dev/null || echo refused"
    devices = (Device(str(node), "/dev/mine", "r"), Device("/dev/zero", "/dev/accel"))
    reader = Security(add_capabilities=("SYSLOG",))  # who has it reads kmsg everywhere
    spec = replace(harness.shell("a", script), devices=devices, security=reader)
    said = await harness.output(spec)
    assert said == ["/dev/accel", "/dev/mine", "read", "refused"]


async def test_what_is_no_device_fails_the_start(harness: OciHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    for source, words in (("/etc/passwd", "is not a device"), ("/dev/nope", "/dev/nope")):
        spec = replace(harness.running("a"), devices=(Device(source, "/dev/x"),))
        with pytest.raises(StartFailed, match=words):
            await harness.runtime.start_container(sandbox.id, spec)


async def test_the_oom_score_is_what_was_asked_or_the_least_that_may_be(
    harness: OciHarness,
) -> None:
    spec = harness.shell("a", "cat /proc/self/oom_score_adj")
    said = await harness.output(replace(spec, resources=Resources(oom_score_adj=900)))
    assert said == ["900"]
    spec = harness.shell("b", "cat /proc/self/oom_score_adj")
    (least,) = await harness.output(replace(spec, resources=Resources(oom_score_adj=-997)))
    assert int(least) in (-997, int(Path("/proc/self/oom_score_adj").read_text()))


async def test_a_containers_stop_signal_is_its_images_or_its_own(harness: OciHarness) -> None:
    script = (
        "trap 'exit 7' USR1; trap 'exit 8' RTMIN+2 36; echo ready; while true; do sleep 0.02; done"
    )
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    for name, asked, code in (("a", "SIGUSR1", 7), ("b", "SIGRTMIN+2", 8)):
        spec = replace(harness.shell(name, script), stop_signal=asked)
        started = await harness.runtime.start_container(sandbox.id, spec)
        await harness.ready(started)
        await harness.reopen()
        await harness.runtime.stop_container(started.id, 5.0)
        assert (await one(harness.runtime, started.id)).exit_code == code
