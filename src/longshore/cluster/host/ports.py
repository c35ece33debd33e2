"""Which port of 127.0.0.1 a cluster of this machine has."""

from __future__ import annotations

import itertools
import socket
import zlib
from collections.abc import Iterator

from longshore.cluster.config import ClusterError, ClusterPaths

# Below those that the kernel gives to outgoing connections (net.ipv4.ip_local_port_range: 32768 and up)
# and below node ports: a cluster that is started again finds its port as it left it.
_FIRST, _COUNT = 16000, 4000


def free_port(paths: ClusterPaths, wanted: int = 0) -> int:
    """The wanted one if nobody has it, else one that nobody has. Clusters begin to look at places of their
    own, so that one seldom takes what another, which is stopped, will come back for. Raises ClusterError."""
    for port in itertools.chain([wanted] if wanted else [], _candidates(paths)):
        if is_free(port):
            return port
    raise ClusterError("there is no free port on 127.0.0.1")


def _candidates(paths: ClusterPaths) -> Iterator[int]:
    begin = zlib.crc32(str(paths.home.resolve()).encode())
    return (_FIRST + (begin + step) % _COUNT for step in range(_COUNT))


def is_free(port: int) -> bool:
    """Whether nobody has that port of 127.0.0.1 at the moment."""
    with socket.socket() as probe:
        # As servers have it: connections that were closed a moment ago are in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
