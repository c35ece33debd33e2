"""Writers whose writes are in a known order, so that what is read at one revision obeys rules: each moves a
sum from one ConfigMap to another in two writes, and makes owners before what they own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from longshore.doors.kit.fetch import Pool
from tests.proof.load import FILLER, MAPS

SUM = 1_000_000
# Rounds after which what was made is deleted again.
_KEPT = 3
_JSON = {"content-type": "application/json", "accept": "application/json"}
Doc = dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """ConfigMaps by name, each with its revision, all as of one revision."""

    revision: int
    docs: Mapping[str, Doc]
    revisions: Mapping[str, int]


@dataclass
class Transfers:
    """told: by name, each revision that was acknowledged, in order. gone: whose deletion was asked."""

    pool: Pool
    writers: int
    told: dict[str, list[int]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    writes: int = 0
    newest: int = 0
    _stopping: bool = False

    async def run(self) -> None:
        """Until stop(), when each has an answer to all it wrote."""
        async with asyncio.TaskGroup() as crew:
            for number in range(self.writers):
                crew.create_task(self._write(number))

    def stop(self) -> None:
        self._stopping = True

    async def _write(self, number: int) -> None:
        a, b, moved = f"a{number}", f"b{number}", 0
        docs = {a: await self._made(a, count=SUM), b: await self._made(b, count=0)}
        while not self._stopping:
            moved += 1
            docs[a] = await self._counted(docs[a], SUM - moved)
            docs[b] = await self._counted(docs[b], moved)
            owner = await self._made(f"owner{number}-{moved}")
            await self._made(f"owned{number}-{moved}", owner)
            if moved > _KEPT:
                await self._deleted(f"owned{number}-{moved - _KEPT}")
                await self._deleted(f"owner{number}-{moved - _KEPT}")

    async def _made(self, name: str, owner: Doc | None = None, count: int = 0) -> Doc:
        metadata: Doc = {"name": name}
        if owner is not None:
            uid = owner["metadata"]["uid"]
            reference = {"apiVersion": "v1", "kind": "ConfigMap", "uid": uid}
            metadata["ownerReferences"] = [{**reference, "name": owner["metadata"]["name"]}]
        body = {"metadata": metadata, "data": {"count": str(count), "filler": FILLER}}
        return await self._ask("POST", MAPS, body)

    async def _counted(self, doc: Doc, count: int) -> Doc:
        body = {**doc, "data": {**doc["data"], "count": str(count)}}
        return await self._ask("PUT", f"{MAPS}/{doc['metadata']['name']}", body)

    async def _deleted(self, name: str) -> None:
        self.gone.add(name)
        answer = await self.pool.fetch("DELETE", f"{MAPS}/{name}", _JSON)
        assert answer.status == 200, answer
        self.writes += 1

    async def _ask(self, method: str, path: str, body: Doc) -> Doc:
        answer = await self.pool.fetch(method, path, _JSON, orjson.dumps(body))
        assert answer.status in (200, 201), answer
        doc: Doc = orjson.loads(answer.body)
        revision = int(doc["metadata"]["resourceVersion"])
        self.told.setdefault(doc["metadata"]["name"], []).append(revision)
        self.newest = max(self.newest, revision)
        self.writes += 1
        return doc

    def contradictions(self, seen: Snapshot, newest_before: int) -> Iterator[str]:
        """What in a snapshot is not as of its revision. newest_before: what had been acknowledged when
        it was asked for. To be asked when all have their answers."""
        if seen.revision < newest_before:
            yield f"it is as of {seen.revision}, though {newest_before} was acknowledged before it"
        for number in range(self.writers):
            yield from _sum(seen.docs, number)
        yield from _owners(seen.docs)
        for name, told in self.told.items():
            kept = max((revision for revision in told if revision <= seen.revision), default=0)
            there = seen.revisions.get(name, 0)
            if there != kept and not (there == 0 and name in self.gone):
                yield f"{name} is there at {there}, and was written at {kept}"


def _sum(docs: Mapping[str, Doc], number: int) -> Iterator[str]:
    """A sum is taken away before it is added: one of it may be on its way."""
    if f"b{number}" not in docs:
        return
    a, b = (int(docs[f"{side}{number}"]["data"]["count"]) for side in "ab")
    if a + b not in (SUM, SUM - 1):
        yield f"a{number} has {a} and b{number} {b}, together not {SUM} or one less"


def _owners(docs: Mapping[str, Doc]) -> Iterator[str]:
    uids = {doc["metadata"]["uid"] for doc in docs.values()}
    for name, doc in docs.items():
        for reference in doc["metadata"].get("ownerReferences", ()):
            if reference["uid"] not in uids:
                yield f"{name} is there without its owner {reference['name']}"
