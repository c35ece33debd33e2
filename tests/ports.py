"""Loopback ports for the servers that tests start."""

from __future__ import annotations

import itertools
import os

from longshore.cluster.host.ports import is_free

# Below the range from which the kernel gives ports to outgoing connections (ip_local_port_range,
# 32768 and up), so that no client takes one before its server listens, and below the node ports.
_FIRST, _COUNT = 20000, 10000
# Processes that test at the same time begin at places of their own.
_places = itertools.count(os.getpid() * 61)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at the moment, and that this process never hands out again (until it
    has been through all of them): a server may take its time until it listens."""
    candidates = (_FIRST + place % _COUNT for place in _places)
    return list(itertools.islice(filter(is_free, candidates), count))


def free_port() -> int:
    return free_ports(1)[0]
