"""Ports of clusters: their own, free, and not of those that clients are given."""

from __future__ import annotations

import socket
from pathlib import Path

from longshore.cluster.config import ClusterPaths
from longshore.cluster.host.ports import free_port


def test_a_cluster_finds_the_same_port_again_which_no_client_gets(tmp_path: Path) -> None:
    ports = [free_port(ClusterPaths(tmp_path, "one")) for _ in range(2)]
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert ports[0] == ports[1] < int(given[0])


def test_what_somebody_has_is_left_to_them(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path, "one")
    first = free_port(paths)
    with socket.create_server(("127.0.0.1", first)):
        second = free_port(paths)
        with socket.create_server(("127.0.0.1", second)):
            assert len({first, second, free_port(paths)}) == 3


def test_the_wanted_one_is_had_if_it_is_free(tmp_path: Path) -> None:
    paths, other = ClusterPaths(tmp_path, "one"), ClusterPaths(tmp_path, "two")
    wanted = free_port(other)
    assert free_port(paths, wanted) == wanted
    with socket.create_server(("127.0.0.1", wanted)):
        assert free_port(paths, wanted) == free_port(paths) != wanted
