"""The Kubernetes door with chosen admission plug-ins, and short words for what tests create."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.admission.surroundings import AdmissionConfig
from longshore.core.registry.registry import RegistryConfig

from ..doors.rig import Answer, Kube, kube, pod

PODS = "/api/v1/namespaces/default/pods"


@contextlib.asynccontextmanager
async def admitting(
    *enable: str, disable: tuple[str, ...] = (), **more: Any
) -> AsyncIterator[Kube]:
    """A door whose registry has these plug-ins besides (or without) the usual ones."""
    config = AdmissionConfig(enable=enable, disable=disable, **more)
    async with kube(registry_config=RegistryConfig(admission=config)) as api:
        yield api


def through_the_door(
    scenario: Callable[[Kube], Awaitable[None]], *enable: str, **more: Any
) -> None:
    """Run a scenario against such a door."""

    async def run() -> None:
        async with admitting(*enable, **more) as api:
            await scenario(api)

    asyncio.run(run())


def path_of(kind: Kind, namespace: str = "default") -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    return (
        f"{root}/namespaces/{namespace}/{kind.plural}"
        if kind.namespaced
        else f"{root}/{kind.plural}"
    )


async def make(api: Kube, kind: Kind, name: str, namespace: str = "default", **body: Any) -> Doc:
    """Create an object; body may have a metadata of its own."""
    metadata = {"name": name, **body.pop("metadata", {})}
    answer = await api("POST", path_of(kind, namespace), {"metadata": metadata, **body})
    assert answer.status == 201, answer.doc
    doc: Doc = answer.doc
    return doc


def of_spec(name: str = "p", **spec: Any) -> Doc:
    """A pod with this in its spec."""
    doc = pod(name)
    doc["spec"] |= spec
    return doc


async def ask(api: Kube, doc: Doc, namespace: str = "default") -> Answer:
    """Create a pod."""
    return await api("POST", path_of(kinds.POD, namespace), doc)


async def made(api: Kube, doc: Doc, namespace: str = "default") -> Doc:
    answer = await ask(api, doc, namespace)
    assert answer.status == 201, answer.doc
    spec: Doc = answer.doc["spec"]
    return spec


async def refused(api: Kube, doc: Doc, namespace: str = "default") -> str:
    """Why a pod is forbidden."""
    answer = await ask(api, doc, namespace)
    assert (answer.status, answer.doc["reason"]) == (403, "Forbidden"), answer.doc
    name = doc["metadata"].get("name", "")
    before = f'pods "{name}" is forbidden: '
    message: str = answer.doc["message"]
    assert message.startswith(before), message
    return message.removeprefix(before)
