"""Which pod has which device, as the pod-resources API tells it (KEP-606, KEP-3695)."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.devices.assignments import Assignments
from longshore.machinery.kubelet.devices.claims.run import Claims
from longshore.machinery.kubelet.devices.peers import (
    ClaimName,
    ContainerShare,
    Held,
    HeldClaim,
    PodShare,
    PreparedDevice,
)
from longshore.machinery.kubelet.devices.plan import ids_of, in_order
from longshore.machinery.kubelet.devices.plugins import Plugins


def share(pod: Doc, assignments: Assignments, claims: Claims, plugins: Plugins) -> PodShare:
    """What a pod has, container by container."""
    metadata, given = pod["metadata"], assignments.of(pod["metadata"]["uid"])
    containers = []
    for container in in_order(pod["spec"]):
        grants = given.get(container["name"], ())
        held = [
            one
            for resource in sorted({grant.resource for grant in grants})
            for one in _near(plugins, resource, ids_of(grants, resource))
        ]
        claimed = _by_claim(claims.devices(pod, container))
        containers.append(ContainerShare(container["name"], tuple(held), tuple(claimed)))
    return PodShare(metadata["namespace"], metadata["name"], tuple(containers))


def on_offer(plugins: Plugins) -> list[Held]:
    """All devices that work."""
    return [
        one
        for resource in sorted(plugins.resources)
        for one in _near(plugins, resource, plugins.healthy(resource))
    ]


def _near(plugins: Plugins, resource: str, ids: Iterable[str]) -> list[Held]:
    """Devices by the NUMA nodes they are near to."""
    known = plugins.devices(resource)
    by_nodes: dict[tuple[int, ...], list[str]] = {}
    for one in sorted(ids):
        listed = known.get(one)
        by_nodes.setdefault(listed.numa if listed else (), []).append(one)
    return [Held(resource, tuple(some), numa) for numa, some in by_nodes.items()]


def _by_claim(claimed: Iterable[tuple[ClaimName, PreparedDevice]]) -> list[HeldClaim]:
    devices: dict[ClaimName, list[PreparedDevice]] = {}
    for claim, device in claimed:
        devices.setdefault(claim, []).append(device)
    return [HeldClaim(claim.namespace, claim.name, tuple(some)) for claim, some in devices.items()]
