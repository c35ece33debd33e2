"""Which pod has which device, as the pod-resources API tells it (KEP-606, KEP-3695)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

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


class Shares:
    """pods() are those of the node."""

    def __init__(
        self,
        pods: Callable[[], Iterable[Doc]],
        assignments: Assignments,
        claims: Claims,
        plugins: Plugins,
    ) -> None:
        self._pods = pods
        self._assignments = assignments
        self._claims = claims
        self._plugins = plugins

    def of_pods(self) -> list[PodShare]:
        """What each pod of the node has."""
        return [self._of(pod) for pod in self._pods()]

    def on_offer(self) -> list[Held]:
        """All devices that work."""
        plugins = self._plugins
        resources = sorted(plugins.resources)
        return [held for one in resources for held in _near(plugins, one, plugins.healthy(one))]

    def _of(self, pod: Doc) -> PodShare:
        metadata, containers = pod["metadata"], in_order(pod["spec"])
        shares = tuple(self._of_container(pod, container) for container in containers)
        return PodShare(metadata["namespace"], metadata["name"], shares)

    def _of_container(self, pod: Doc, container: Doc) -> ContainerShare:
        name = container["name"]
        grants = self._assignments.of(pod["metadata"]["uid"]).get(name, ())
        resources = sorted({grant.resource for grant in grants})
        held = (_near(self._plugins, one, ids_of(grants, one)) for one in resources)
        claimed = _by_claim(self._claims.devices(pod, container))
        return ContainerShare(name, tuple(chain.from_iterable(held)), tuple(claimed))


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
