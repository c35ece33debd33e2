"""A LAN of real namespaces: it works, it repairs itself, and nothing of it stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.machinery.network import namespaces
from longshore.machinery.network.errors import NamespaceFailure, NetlinkFailure
from longshore.machinery.network.lan import (
    add_node,
    build_lan,
    lan_path,
    leftovers,
    node_path,
    remove_node,
    tear_down,
)
from longshore.machinery.network.netlink import Netlink, add_address
from longshore.machinery.network.ranges import node_net

from .network_world import Lan, real_lan, shell

pytestmark = pytest.mark.root


def of_the_machine(directory: Path) -> tuple[str, set[str]]:
    """What must be the same before and after: links of the machine, namespaces bound below a
    directory (others may come and go elsewhere)."""
    links = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True)
    names = sorted(f"{link['ifindex']} {link['ifname']}" for link in json.loads(links.stdout))
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    bound = {line.split()[4] for line in mounts if " nsfs " in line}
    return "\n".join(names), {path for path in bound if path.startswith(str(directory))}


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with real_lan(tmp_path / "ns") as built:
        yield built


def pings(netns: str, ip: str) -> bool:
    return shell(netns, "busybox", "ping", "-c1", "-W20", ip).returncode == 0


def test_nodes_reach_one_another_and_nothing_stays(tmp_path: Path) -> None:
    before = of_the_machine(tmp_path)
    with real_lan(tmp_path / "ns", 3) as lan:
        for index, other in ((0, 1), (1, 2), (2, 0)):
            assert pings(lan.node_ns(index), lan.nodes[other].lan_ip)
        assert pings(lan.lan_ns, lan.nodes[2].lan_ip)
        links, bound = of_the_machine(tmp_path)
        assert links == before[0]
        assert len(bound - before[1]) == 4
        assert len(leftovers(lan.directory)) == 5
    assert of_the_machine(tmp_path) == before
    assert leftovers(tmp_path / "ns") == []
    tear_down(tmp_path / "ns")


def test_a_build_over_a_build_changes_nothing(lan: Lan) -> None:
    def state() -> list[str]:
        return [shell(ns, "ip", "-br", "a").stdout for ns in (lan.lan_ns, lan.node_ns(0))]

    before = state()
    build_lan(lan.directory, lan.nodes)
    assert state() == before


def test_a_node_that_lost_its_namespace_is_plugged_in_again(lan: Lan) -> None:
    namespaces.delete(Path(lan.node_ns(0)))
    build_lan(lan.directory, lan.nodes)
    assert pings(lan.node_ns(0), lan.nodes[1].lan_ip)


def test_nodes_come_and_go(lan: Lan) -> None:
    third = node_net("node-3", 3)
    add_node(lan.directory, third, lan.nodes)
    assert pings(str(node_path(lan.directory, "node-3")), lan.nodes[0].lan_ip)
    with namespaces.entered(lan.node_ns(0)), Netlink() as kernel:
        assert (third.pod_cidr, third.lan_ip) in {
            (route.destination, route.gateway) for route in kernel.routes()
        }
    for _ in range(2):
        remove_node(lan.directory, third, lan.nodes)
    with namespaces.entered(lan.node_ns(0)), Netlink() as kernel:
        assert third.pod_cidr not in {route.destination for route in kernel.routes()}
    assert not node_path(lan.directory, "node-3").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from longshore.machinery.network import lan, netlink, ranges
left = int(sys.argv[2])
def stingy(self, messages, run=netlink.Netlink.run):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    run(self, messages)
netlink.Netlink.run = stingy
lan.build_lan(Path(sys.argv[1]), [ranges.node_net(f"node-{n}", n) for n in (1, 2)])
"""


@pytest.mark.parametrize("steps", [0, 1, 2, 4, 5])
def test_a_build_killed_midway_is_finished_by_the_next(tmp_path: Path, steps: int) -> None:
    directory = tmp_path / "ns"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(directory), str(steps)], check=False)
    assert killed.returncode == -signal.SIGKILL
    try:
        nodes = [node_net(f"node-{number}", number) for number in (1, 2)]
        build_lan(directory, nodes)
        assert pings(str(node_path(directory, "node-1")), nodes[1].lan_ip)
    finally:
        tear_down(directory)
    assert leftovers(directory) == []


def test_a_thread_is_back_home_after_a_visit(lan: Lan) -> None:
    home = os.stat("/proc/thread-self/ns/net").st_ino

    def visit() -> None:
        with namespaces.entered(lan.lan_ns):
            assert os.stat("/proc/thread-self/ns/net").st_ino != home
            raise RuntimeError

    with pytest.raises(RuntimeError):
        visit()
    assert os.stat("/proc/thread-self/ns/net").st_ino == home


def test_refusals_are_sentences(lan: Lan, tmp_path: Path) -> None:
    with pytest.raises(NamespaceFailure, match="No such file"), namespaces.entered(tmp_path / "no"):
        pass
    plain = tmp_path / "plain"
    plain.touch()
    assert not namespaces.exists(plain)
    with pytest.raises(NamespaceFailure, match="Invalid argument"), namespaces.entered(plain):
        pass
    complaint = r"add address 10\.0\.0\.1/8 to link 77: .*ENODEV"
    with (
        namespaces.entered(lan_path(lan.directory)),
        Netlink() as kernel,
        pytest.raises(NetlinkFailure, match=complaint),
    ):
        kernel.run([add_address(77, "10.0.0.1/8")])
