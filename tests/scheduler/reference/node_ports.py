"""NodePorts: a port of the host is taken once for each protocol and address; 0.0.0.0 is all
addresses (ContainerPort.hostPort and hostIP in the API reference)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc

from .cluster import Cluster, Judge
from .profile import Profile

REASON = "node(s) didn't have free ports for the requested pod ports"
EVERYWHERE = "0.0.0.0"

Port = tuple[str, int, str]


def judge(cluster: Cluster, pod: Doc, profile: Profile) -> Judge:
    wanted = list(ports(pod))

    def why(node: Doc) -> list[str]:
        taken = [port for other in cluster.on(node) for port in ports(other)]
        return [REASON] if any(collide(one, two) for one in wanted for two in taken) else []

    return why if wanted else lambda node: []


def ports(pod: Doc) -> Iterator[Port]:
    spec = pod["spec"]
    sidecars = (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
    for container in [*spec["containers"], *sidecars]:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                address = port.get("hostIP") or EVERYWHERE
                yield port.get("protocol") or "TCP", port["hostPort"], address


def collide(one: Port, other: Port) -> bool:
    return one[:2] == other[:2] and (one[2] == other[2] or EVERYWHERE in (one[2], other[2]))
