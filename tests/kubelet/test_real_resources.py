"""What real containers use, and what becomes of those that take too much. Needs root."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Delete, DeleteOptions
from longshore.core.streams.protocols import LogOptions
from longshore.machinery.kubelet.cpus.lists import cpus_text
from longshore.machinery.kubelet.resource_settings import ResourceSettings
from longshore.machinery.kubelet.resources.gauges import MachineGauges
from longshore.machinery.kubelet.volumes.mounting import unmount_below
from longshore.machinery.runtime.disk import disk_use
from longshore.machinery.runtime.images import ImageStore
from longshore.machinery.runtime.oci.destroy import destroy_all
from longshore.machinery.runtime.rotated import rotated_of

from .docs import pod
from .test_real_containers import Node, images, netns, serving, shell, until

__all__ = ["images", "netns"]
pytestmark = [pytest.mark.root, pytest.mark.slow]
MIB = 1 << 20


class Bounded(Node):
    """A node that is looked at often, and short of memory as soon as a pod eats 500 MiB of it, which nobody else does
    meanwhile."""

    def settings(self) -> ResourceSettings:
        free = MachineGauges(self.root).read()["memory.available"].available
        return ResourceSettings(
            eviction_hard={"memory.available": str(free - 500 * MIB)},
            eviction_every_s=0.2,
            log_max_size="100Ki",
            log_max_files=5,
            log_look_every_s=0.5,
            cpu_manager_policy="static",
            reserved_cpus=cpus_text(sorted(os.sched_getaffinity(0))[:1]),
        )


@pytest.fixture
async def node(tmp_path: Path, images: ImageStore, netns: str) -> AsyncIterator[Bounded]:
    group = f"/longshore-resources-test-{os.getpid()}"
    try:
        async with serving(Bounded, tmp_path, images, netns, group) as made:
            yield made
    finally:
        await asyncio.to_thread(destroy_all, tmp_path / "oci", group)
        unmount_below(tmp_path)


def why(node: Node, name: str) -> str:
    return str(node.status(name).get("message"))


async def test_who_takes_too_much_is_evicted_for_what_it_took(node: Bounded) -> None:
    """Disk by its limits, memory by the machine's shortage; a pod that does neither stays."""
    disk: Doc = {"volumes": [{"name": "disk", "emptyDir": {"sizeLimit": "1Mi"}}]}
    mounts = [{"name": "disk", "mountPath": "/disk"}]
    write = "/bin/busybox head -c 3000000 /dev/zero >%s; exec sleep 100"
    limits = {"limits": {"ephemeral-storage": "1Mi"}}
    memory = {"volumes": [{"name": "ram", "emptyDir": {"medium": "Memory"}}]}
    await node.run_pod(pod(shell("exec sleep 100"), name="modest"))
    await node.run_pod(pod(shell(write % "/disk/x", volumeMounts=mounts), name="volume", **disk))
    await node.run_pod(pod(shell(write % "/x", resources=limits), name="layer"))
    for name in ("volume", "layer"):
        await until(lambda: node.status(name).get("phase") == "Failed")  # noqa: B023
    assert why(node, "volume") == 'Usage of EmptyDir volume "disk" exceeds the limit "1Mi". '
    assert why(node, "layer") == (
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "
    )
    eat = shell("/bin/busybox head -c 900000000 /dev/zero >/ram/x; exec sleep 100",
                volumeMounts=[{"name": "ram", "mountPath": "/ram"}])  # fmt: skip
    await node.run_pod(pod(eat, name="eater", **memory))
    await until(lambda: node.status("eater").get("phase") == "Failed")
    assert node.status("eater")["reason"] == "Evicted"
    assert why(node, "eater").startswith("The node was low on resource: memory. Threshold")
    assert "has larger consumption of memory" in why(node, "eater")
    assert node.runs("modest")


async def test_following_a_log_that_is_rotated_loses_nothing(node: Bounded) -> None:
    """4,000 lines of some 90 bytes in files of 100 KiB, read as they come and from the end."""
    count = "n=0; while [ $n -lt 4000 ]; do echo line $n of a log that is being rotated; n=$((n+1)); done; exec sleep 100"
    await node.run_pod(pod(shell(count), name="even"))
    await until(lambda: node.runs("even"))
    options = LogOptions(follow=True)
    seen: list[int] = []
    rest = b""
    async for piece in node.kubelet.logs("shop", "even", "main", options):
        *lines, rest = (rest + piece).split(b"\n")
        seen += [int(line.split()[1]) for line in lines]
        if seen[-1] == 3999:
            break
    assert seen == list(range(4000))
    logs = node.root / "agent" / "logs"
    [log] = logs.glob("shop_even_*/main/0.log")
    await until(lambda: rotated_of(log))
    last = await node.logs(name="even", tail_lines=3500)
    assert last.count("\n") == 3500


async def test_what_is_used_is_told(node: Bounded) -> None:
    script = "/bin/busybox head -c 2000000 /dev/zero >/file; while true; do :; done"
    await node.run_pod(pod(shell(script, resources={"limits": {"cpu": "200m"}})))
    await until(lambda: node.runs("web"))
    statistics = node.kubelet.statistics
    shown = await statistics.summary()
    (told,) = shown["pods"]
    (main,) = told["containers"]
    assert told["process_stats"]["process_count"] >= 1
    assert main["memory"]["pageFaults"] > 0
    assert shown["node"]["fs"]["capacityBytes"] > 0
    assert 'container="main"' in await statistics.metrics("cadvisor")
    assert "kubelet_running_pods 1" in await statistics.metrics("")


async def test_who_prints_as_fast_as_it_can_does_not_fill_the_disk(node: Bounded) -> None:
    """Rotated files and the current one, each of what came between two looks, which is bounded too."""
    await node.run_pod(pod(shell("exec /bin/busybox yes"), name="flood"))
    await until(lambda: node.runs("flood"))
    clock, sizes, counts = SystemClock(), [0], [0]
    while len(sizes) < 40 or max(counts) < 2:
        assert len(sizes) < 600, "it is never rotated"
        await clock.sleep(0.05)
        files = [one for one in node.root.glob("agent/logs/shop_flood_*/main/*") if one.exists()]
        sizes.append(disk_use(node.root / "agent" / "logs").bytes)
        counts.append(len(files))
    print(f"at most {max(counts)} files of {max(sizes) >> 20} MiB together")
    assert max(counts) <= 5 + 1, "one more while it is rotated or packed"
    assert max(sizes) <= (5 + 1) * 50 * MIB
    assert (await node.logs(name="flood", tail_lines=2)).startswith("y\ny\n")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be shared out")
async def test_whole_cpus_are_ones_own(node: Bounded) -> None:
    """As the kernel tells the containers themselves, before and after one comes that owns some."""
    look = "while true; do grep Cpus_allowed_list /proc/self/status; sleep 0.05; done"
    one = {"cpu": "1", "memory": "64Mi"}
    await node.run_pod(pod(shell(look), name="shares"))
    await until(lambda: node.runs("shares"))
    every = sorted(os.sched_getaffinity(0))

    async def allowed(name: str) -> str:
        lines = (await node.logs(name=name, tail_lines=1)).split()
        return lines[-1] if lines else ""

    await eventually(allowed, "shares", cpus_text(every))
    limits = {"limits": one, "requests": one}
    await node.run_pod(pod(shell(look, resources=limits), name="owns"))
    await until(lambda: node.runs("owns"))
    await eventually(allowed, "owns", cpus_text(every[1:2]))
    await eventually(allowed, "shares", cpus_text([every[0], *every[2:]]))
    await node.client.write(Delete(kinds.POD, "shop", "owns", DeleteOptions(grace_s=0)))
    await eventually(allowed, "shares", cpus_text(every))


async def eventually(look: Callable[[str], Awaitable[str]], name: str, wanted: str) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + 60.0
    while (seen := await look(name)) != wanted:
        assert clock.monotonic() < deadline, f"{name}: {seen}, not {wanted}"
        await clock.sleep(0.05)
