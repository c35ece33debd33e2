"""Pods' namespaces on real nodes: reachable, made ahead, found again, never two on one address."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.machinery.network import namespaces

from .network_world import Lan, off_loop, real_lan, shell

pytestmark = pytest.mark.root


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with real_lan(tmp_path / "ns") as built:
        yield built


async def pings(netns: str, ip: str) -> bool:
    done = await off_loop(lambda: shell(netns, "busybox", "ping", "-c1", "-W20", ip))
    return done.returncode == 0


async def test_pods_reach_pods_nodes_and_the_lan(lan: Lan) -> None:
    here, there = lan.pods(0), lan.pods(1)
    await here.open()
    await there.open()
    a, b, c = await here.attach("a"), await here.attach("b"), await there.attach("c")
    assert (a.ip, b.ip, c.ip) == ("10.42.1.2", "10.42.1.3", "10.42.2.2")
    for ip in (b.ip, c.ip, lan.nodes[0].lan_ip, lan.nodes[1].lan_ip, "127.0.0.1"):
        assert await pings(a.netns, ip), ip
    assert await pings(lan.lan_ns, c.ip)
    assert await pings(lan.node_ns(0), c.ip)
    assert here.host.netns == ""
    await here.close()
    await there.close()


async def test_attach_and_detach_may_be_repeated(lan: Lan) -> None:
    pods = lan.pods(0)
    await pods.open()
    first, again = await asyncio.gather(pods.attach("a"), pods.attach("a"))
    assert first == again == await pods.attach("a")
    await pods.detach("a")
    await pods.detach("a")
    assert pods.attached() == {}
    assert not Path(first.netns).exists()
    assert (await pods.attach("b")).ip != first.ip
    await pods.close()


async def test_the_pool_is_filled_and_ends_with_its_owner(lan: Lan) -> None:
    pods = lan.pods(0, pool_size=3)
    await pods.open()
    async with asyncio.TaskGroup() as group:
        run = group.create_task(pods.run())
        while len(list((lan.directory / "pods-node-1").glob("10.*"))) < 3:
            await off_loop(lambda: None)
        given = await pods.attach("a")
        assert given.ip == "10.42.1.2"
        run.cancel()
    await pods.close()
    assert [path.name for path in (lan.directory / "pods-node-1").glob("10.*")] == [given.ip]


async def test_a_new_life_finds_its_pods_and_drops_what_is_half_there(lan: Lan) -> None:
    pods, directory = lan.pods(0), lan.directory / "pods-node-1"
    await pods.open()
    kept, lost, torn = [await pods.attach(uid) for uid in ("kept", "lost", "torn")]
    await pods.close()
    namespaces.delete(Path(lost.netns))
    shell(lan.node_ns(0), "ip", "link", "delete", "pod1.4")
    (directory / "10.42.1.99").touch()
    os.symlink(kept.ip, directory / "pods" / "usurper")
    os.symlink("10.42.1.50", directory / "pods" / ".half")

    found = lan.pods(0)
    await found.open()
    assert dict(found.attached()) == {"kept": kept}
    assert sorted(path.name for path in directory.iterdir()) == [kept.ip, "pods"]
    assert [path.name for path in (directory / "pods").iterdir()] == ["kept"]
    fresh = await found.attach("fresh")
    assert fresh.ip != kept.ip
    assert await pings(fresh.netns, kept.ip)
    assert not Path(torn.netns).exists()
    await found.close()


AGENT = """
import asyncio, sys
from pathlib import Path
from longshore.base.clock import SystemClock
from longshore.machinery.network.pods import PodNetwork
from longshore.machinery.network.ranges import node_net
async def main():
    pods = PodNetwork(node_net("node-1", 1), Path(sys.argv[1]), SystemClock(), node_ns=sys.argv[2])
    await pods.open()
    print("open", *[f"{uid}={at.ip}" for uid, at in pods.attached().items()], flush=True)
    async def churn(worker):
        for turn in range(10_000):
            uid = f"{sys.argv[3]}-{worker}-{turn}"
            print("has", uid, (await pods.attach(uid)).ip, flush=True)
            if turn % 3:
                print("going", uid, flush=True)
                await pods.detach(uid)
    await asyncio.gather(churn(0), churn(1), pods.run())
asyncio.run(main())
"""


class Ledger:
    """What agents said of their pods. One that is going may have its address still, or not."""

    def __init__(self) -> None:
        self.holders: dict[str, str] = {}
        self.going: set[str] = set()

    def hear(self, line: str) -> None:
        word, *rest = line.split()
        if word == "open":
            found = dict(pair.split("=") for pair in rest)
            staying = {uid: ip for uid, ip in self.holders.items() if uid not in self.going}
            assert staying.items() <= found.items()
            self.holders = found
        elif word == "has":
            staying = {uid: ip for uid, ip in self.holders.items() if uid not in self.going}
            assert rest[1] not in staying.values(), line
            self.holders[rest[0]] = rest[1]
        else:
            self.going.add(rest[0])


@pytest.mark.slow
def test_no_address_is_shared_though_the_agent_is_killed_again_and_again(lan: Lan) -> None:
    """What an agent said a pod has is the pod's in every later life, and nobody else's."""
    ledger = Ledger()
    for life in range(4):
        agent = subprocess.Popen(
            [
                sys.executable,
                "-c",
                AGENT,
                str(lan.directory / "pods-node-1"),
                lan.node_ns(0),
                str(life),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert agent.stdout is not None
        for number, line in enumerate(agent.stdout):
            ledger.hear(line)
            if number == 60 + 17 * life:
                agent.send_signal(signal.SIGKILL)
                break
        # What it said before it died counts as well; a line cut short was not said.
        for line in agent.stdout.read().splitlines(keepends=True):
            if line.endswith("\n"):
                ledger.hear(line)
        agent.stdout.close()
        assert agent.wait() == -signal.SIGKILL
    assert len(ledger.holders) > 20
