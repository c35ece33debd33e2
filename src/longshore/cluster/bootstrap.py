"""What every cluster has from its first moment: system namespaces, and the API server's own Service."""

from __future__ import annotations

from longshore.base.addresses import API_PORT, API_SERVICE_ADDRESS
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.admission import SYSTEM_NAMESPACES
from longshore.core.registry.client import Client, Create, Operation, Patch

SERVICE_NAME = "kubernetes"


async def bootstrap(client: Client, endpoint: tuple[str, int] | None) -> None:
    """Create what is missing, and point the `kubernetes` Service at endpoint, the address at which
    pods reach the API server (None: there are no pods that could). Idempotent."""
    await _ensure(client, [Create(kinds.NAMESPACE, _namespace(name)) for name in SYSTEM_NAMESPACES])
    if endpoint is None:
        return
    await _ensure(client, [Create(kinds.SERVICE, _service())])
    for kind, doc in (
        (kinds.ENDPOINTS, _endpoints(*endpoint)),
        (kinds.ENDPOINT_SLICE, _slice(*endpoint)),
    ):
        await _put(client, kind, doc)


async def _ensure(client: Client, creates: list[Operation]) -> None:
    for answer in await client.submit(creates):
        if isinstance(answer, ApiError) and not isinstance(answer, AlreadyExists):
            raise answer


async def _put(client: Client, kind: Kind, doc: Doc) -> None:
    try:
        await client.write(Create(kind, doc))
    except AlreadyExists:
        content = {field: value for field, value in doc.items() if field != "metadata"}
        await client.write(Patch(kind, "default", SERVICE_NAME, content))


def _namespace(name: str) -> Doc:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


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


def _endpoints(address: str, port: int) -> Doc:
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": _metadata({"endpointslice.kubernetes.io/skip-mirror": "true"}),
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }


def _slice(address: str, port: int) -> Doc:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata({"kubernetes.io/service-name": SERVICE_NAME}),
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
