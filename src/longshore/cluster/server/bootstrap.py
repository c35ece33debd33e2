"""What every cluster has from its first moment: system namespaces, priorities, flow control, what is
served, its administrators, and the API server's own Service."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.base.addresses import API_PORT, API_SERVICE_ADDRESS, SERVICE_RANGE
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError, NotFound
from longshore.core.objects.flow_defaults import FLOW_SCHEMAS, PRIORITY_LEVELS
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.priorities import SYSTEM_PRIORITIES
from longshore.core.objects.rbac.defaults import objects_of_administrators
from longshore.core.objects.served_groups import api_services
from longshore.core.registry.admission.namespaces import SYSTEM_NAMESPACES
from longshore.core.registry.client import Client, Create, Operation, Patch

SERVICE_NAME = "kubernetes"


async def bootstrap(client: Client, endpoints: Sequence[tuple[str, int]]) -> None:
    """Create what is missing, and point the `kubernetes` Service at endpoints, the addresses at which
    pods reach the API servers (none: there are no pods that could). Of several, whoever leads sees
    to it later which are there. Idempotent."""
    await _ensure(client, _first_objects())
    if not endpoints:
        return
    await _ensure(client, [Create(kinds.SERVICE, _service())])
    addresses, port = [address for address, _ in endpoints], endpoints[0][1]
    if len(addresses) == 1:
        await point_at(client, addresses, port)
        return
    await _ensure(client, [Create(kind, doc) for kind, doc in _targets(addresses, port)])


async def point_at(client: Client, addresses: list[str], port: int) -> None:
    """Point the `kubernetes` Service there, if it is not. An empty list leaves it as it is: whoever
    asks is a server."""
    if not addresses:
        return
    for kind, doc in _targets(addresses, port):
        content = {field: value for field, value in doc.items() if field != "metadata"}
        try:
            there = await client.get(kind, "default", SERVICE_NAME)
        except NotFound:
            await client.write(Create(kind, doc))
            continue
        if any(there.get(field) != value for field, value in content.items()):
            await client.write(Patch(kind, "default", SERVICE_NAME, content))


def _targets(addresses: list[str], port: int) -> list[tuple[Kind, Doc]]:
    return [
        (kinds.ENDPOINTS, _endpoints(addresses, port)),
        (kinds.ENDPOINT_SLICE, _slice(addresses, port)),
    ]


def _first_objects() -> list[Operation]:
    return [
        *(Create(kinds.NAMESPACE, _namespace(name)) for name in SYSTEM_NAMESPACES),
        *(Create(kinds.PRIORITY_CLASS, doc) for doc in SYSTEM_PRIORITIES.values()),
        *(Create(kinds.PRIORITY_LEVEL, doc) for doc in PRIORITY_LEVELS),
        *(Create(kinds.FLOW_SCHEMA, doc) for doc in FLOW_SCHEMAS),
        *(Create(kinds.API_SERVICE, doc) for doc in api_services((*kinds.SERVED, *kinds.MEASURED))),
        Create(kinds.SERVICE_CIDR, _service_range()),
        *(Create(kind, doc) for kind, doc in objects_of_administrators()),
    ]


async def _ensure(client: Client, creates: list[Operation]) -> None:
    for answer in await client.submit(creates):
        if isinstance(answer, ApiError) and not isinstance(answer, AlreadyExists):
            raise answer


def _namespace(name: str) -> Doc:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _service_range() -> Doc:
    return {
        "apiVersion": kinds.SERVICE_CIDR.api_version,
        "kind": kinds.SERVICE_CIDR.name,
        "metadata": {"name": SERVICE_NAME},
        "spec": {"cidrs": [SERVICE_RANGE]},
    }


def _metadata(labels: dict[str, str]) -> Doc:
    return {"name": SERVICE_NAME, "namespace": "default", "labels": labels}


def _service() -> Doc:
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": API_PORT}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata({"component": "apiserver", "provider": "kubernetes"}),
        "spec": {"type": "ClusterIP", "clusterIP": API_SERVICE_ADDRESS, "ports": [port]},
    }


def _endpoints(addresses: list[str], port: int) -> Doc:
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": _metadata({"endpointslice.kubernetes.io/skip-mirror": "true"}),
        "subsets": [{"addresses": [{"ip": one} for one in addresses], "ports": ports}],
    }


def _slice(addresses: list[str], port: int) -> Doc:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata({"kubernetes.io/service-name": SERVICE_NAME}),
        "addressType": "IPv4",
        "endpoints": [{"addresses": [one], "conditions": {"ready": True}} for one in addresses],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
