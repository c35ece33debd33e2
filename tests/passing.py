"""A client that passes everything on: what doubles that do one thing otherwise begin with."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Answers, Client, Feed, Listing, Operation


class PassingClient:
    """Client."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def get(self, kind: Kind, namespace: str, name: str) -> Doc:
        return await self.client.get(kind, namespace, name)

    async def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        return await self.client.list(kind, namespace, labels=labels, fields=fields)

    async def list_and_watch(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[Listing, Feed]:
        return await self.client.list_and_watch(kind, namespace, labels=labels, fields=fields)

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        return await self.client.submit(operations)

    async def write(self, operation: Operation) -> Doc:
        return await self.client.write(operation)
