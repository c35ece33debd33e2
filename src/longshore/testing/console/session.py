"""Somebody at a console of a simulated cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson

from longshore.base.users import User
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.doors.kit.http import AnyReply, Reply, Request, SlicedReply
from longshore.testing.console.names import Names
from longshore.testing.console.refusals import Refused
from longshore.testing.kube.naming import path_of
from longshore.testing.simulator.cluster import ADMIN, JSON, SimulatedCluster

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
MANAGER = "console"
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')
_NOTHING: Mapping[str, str] = {}


class Session:
    """What lasts from one command to the next. seen: up to which revision changes of a kind were
    shown; tokens are by their service account's name."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.clock = cluster.clock
        self.names = Names(cluster.medium.log)
        self.begun_at = 0
        self.seen: dict[Kind, int] = {}
        self.tokens: dict[str, str] = {}


@dataclass(slots=True)
class Caller:
    """Who gives one command, and in which namespace. printed gets the API's warnings."""

    session: Session
    user: User | None = ADMIN
    headers: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "default"
    printed: list[str] = field(default_factory=list)

    async def get(self, ref: Ref) -> Doc:
        """Raises Refused, Unreachable."""
        return await self.ask("GET", ref)

    async def all(self, kind: Kind, namespace: str, **query: str) -> list[Doc]:
        doc = await self.send("GET", path_of(kind, namespace), query=query)
        found: list[Doc] = doc.get("items") or []
        return found

    async def table(self, kind: Kind, namespace: str, **query: str) -> Doc:
        path = path_of(kind, namespace)
        return await self.send("GET", path, query=query, accept=_TABLE)

    async def patch(self, ref: Ref, patch: Any, media: str = MERGE) -> Doc:
        return await self.ask("PATCH", ref, patch, media)

    async def ask(self, method: str, ref: Ref, body: Any = None, media: str = JSON) -> Doc:
        """Something about one object."""
        path = path_of(ref.kind, ref.namespace, ref.name)
        path += f"/{ref.subresource}" if ref.subresource else ""
        query = {} if method in ("GET", "DELETE") else {"fieldManager": MANAGER}
        return await self.send(method, path, body, media=media, query=query)

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        media: str = JSON,
        query: Mapping[str, str] = _NOTHING,
        accept: str = JSON,
    ) -> Doc:
        """One request and the document that answers it. Raises Refused, Unreachable."""
        reply = await self.open(self._request(method, path, body, media, query, accept))
        if isinstance(reply, SlicedReply):
            reply = Reply(reply.status, b"".join(reply.slices), headers=reply.headers)
        assert isinstance(reply, Reply), reply
        doc: Doc = orjson.loads(reply.body)
        if reply.status >= 400:
            raise Refused(doc)
        for warning in _WARNING.findall(reply.headers.get("Warning", "")):
            self.printed.append("Warning: " + warning.replace('\\"', '"'))
        return doc

    async def watch(self, kind: Kind, namespace: str, since: int) -> AnyReply:
        """What changes after a revision, as Tables."""
        query = {"watch": "1", "resourceVersion": str(since)}
        path = path_of(kind, namespace)
        return await self.open(self._request("GET", path, None, JSON, query, _TABLE))

    async def open(self, request: Request) -> AnyReply:
        """Raises Unreachable."""
        cluster = self.session.cluster
        await cluster.outside.cross()
        server = cluster.server
        reply = await server.ask(lambda: server.door.handle(request))
        await cluster.outside.cross()
        return reply

    def _request(
        self, method: str, path: str, body: Any, media: str, query: Mapping[str, str], accept: str
    ) -> Request:
        data = b"" if body is None else orjson.dumps(body)
        headers = {
            "content-type": media, "accept": accept, "user-agent": "console/1", **self.headers,
        }  # fmt: skip
        words = {name: [value] for name, value in query.items() if value}
        target = path + ("?" + urlencode(words, doseq=True) if words else "")
        return Request(method, path, words, headers, data, self.user, target)

    # -- what things are called --------------------------------------------------------------

    def real(self, words: str) -> str:
        return self.session.names.real(words)

    def said(self, kind: Kind, name: str, did: str) -> str:
        """ "deployment.apps/web created"."""
        return f"{called(kind)}/{name} {did}"


def called(kind: Kind) -> str:
    """As kubectl calls an object of that kind: deployment.apps."""
    return f"{kind.singular}.{kind.group}" if kind.group else kind.singular


def padded(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells in columns, three spaces apart, as kubectl does."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
