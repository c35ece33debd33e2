"""get, endpoints, events and watch."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.doors.kit.http import Reply, StreamReply
from longshore.testing.console.names import natural
from longshore.testing.console.refusals import Refused
from longshore.testing.console.session import Caller, padded
from longshore.testing.console.words import Words
from longshore.testing.kube.conditions import looked_up
from longshore.testing.kube.naming import kind_of, ref_of
from longshore.testing.kube.reports import concerning

# How long a watch is listened to once it says nothing more.
_QUIET_S = 0.2
_PLACE = re.compile(r"\.(\d+)(?=\.|$)")
_Rows = list[list[str]]


async def get(caller: Caller, words: Words) -> None:
    """get KIND [NAME], get KIND/NAME: [-l LABELS] [-A] [-o wide], [-o A=PATH,B=PATH] or [-o PATH]. A
    path may go through all members of a list by a step "*", through one by its place."""
    first = words.next("what to get")
    kind = kind_of(first.partition("/")[0])
    name = caller.real(first.partition("/")[2] or "".join(words.rest[:1]))
    shown = words.options.get("o", "")
    if name and shown not in ("", "wide") and "=" not in shown:
        doc = await caller.get(Ref(kind, _scope(caller, kind), name))
        caller.printed += _document(_found(doc, shown))
        return
    query = {"labelSelector": caller.real(words.options.get("l", ""))}
    if name:
        await caller.get(Ref(kind, _scope(caller, kind), name))
        query["fieldSelector"] = f"metadata.name={name}"
    where = "" if "A" in words.options else _scope(caller, kind)
    if "=" in shown:
        docs = await caller.all(kind, where, **query)
        heads = [column.partition("=")[0] for column in shown.split(",")]
        paths = [column.partition("=")[2] for column in shown.split(",")]
        rows = [[_cell(_found(doc, path)) for path in paths] for doc in docs]
    else:
        heads, rows = _of_table(
            await caller.table(kind, where, **query), shown, "A" in words.options
        )
    caller.printed += _sorted(caller, heads, rows) or [_none(where)]


async def endpoints(caller: Caller, words: Words) -> None:
    """endpoints SERVICE: the pods that its EndpointSlices name, and what they say of them."""
    chosen = f"kubernetes.io/service-name={words.next('the service')}"
    slices = await caller.all(kinds.ENDPOINT_SLICE, caller.namespace, labelSelector=chosen)
    found = [one for slice_ in slices for one in slice_.get("endpoints") or ()]
    names = ("ready", "serving", "terminating")
    rows = [
        [
            _cell(_found(one, path))
            for path in ("targetRef.name", *(f"conditions.{n}" for n in names))
        ]
        for one in found
    ]
    heads = ["POD", *map(str.upper, names)]
    caller.printed += _sorted(caller, heads, rows) or ["no endpoints"]


async def events(caller: Caller, words: Words) -> None:
    """events [KIND/NAME]: about an object, and about what was made for it."""
    found = await caller.all(kinds.EVENT, caller.namespace)
    if words.rest:
        ref = ref_of(caller.real(words.rest[0]), caller.namespace)
        doc = await _there(caller, ref)
        found = concerning(doc, ref, found)
    found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    rows = [[event["type"], event["reason"], _about(event), _told(event)] for event in found]
    shown = [[caller.session.names.shown(cell) for cell in row] for row in rows]
    head = ["TYPE", "REASON", "OBJECT", "MESSAGE"]
    caller.printed += padded([head, *shown]) if rows else [_none(caller.namespace)]


async def watch(caller: Caller, words: Words) -> None:
    """watch KIND: what has changed since the last look at it, or since the session began."""
    kind, session = kind_of(words.next("the kind")), caller.session
    since = session.seen.get(kind, session.begun_at)
    reply = await caller.watch(kind, _scope(caller, kind), since)
    if isinstance(reply, Reply):
        raise Refused(orjson.loads(reply.body))
    assert isinstance(reply, StreamReply), reply
    heads: list[str] = []
    rows: _Rows = []
    async for event in _told_at_once(caller, reply):
        if event["type"] == "ERROR":
            raise Refused(event["object"])
        table = event["object"]
        heads = heads or _heads(table["columnDefinitions"])
        rows += [[event["type"], *_cells(row, len(heads), heads)] for row in table["rows"]]
        revision = table["metadata"]["resourceVersion"]
        session.seen[kind] = int(revision)
    shown = [[session.names.shown(cell) for cell in row] for row in rows]
    kept = [place for place, head in enumerate(heads) if head != "AGE"]
    chosen = [[row[0], *(row[place + 1] for place in kept)] for row in shown]
    once = [row for at, row in enumerate(chosen) if at == 0 or row != chosen[at - 1]]
    head = ["EVENT", *(heads[place] for place in kept)]
    caller.printed += padded([head, *once]) if rows else ["nothing changed"]


async def _told_at_once(caller: Caller, reply: StreamReply) -> AsyncIterator[Doc]:
    """The events that a watch has to tell now."""
    pieces = aiter(reply.pieces)
    try:
        while True:
            piece = await asyncio.wait_for(anext(pieces, b""), _QUIET_S)
            for line in filter(None, piece.split(b"\n")):
                yield orjson.loads(line)
            if not piece:
                return
    except TimeoutError:
        return


async def _there(caller: Caller, ref: Ref) -> Doc | None:
    try:
        return await caller.get(ref)
    except Refused:
        return None


def _scope(caller: Caller, kind: Kind) -> str:
    return caller.namespace if kind.namespaced else ""


def _none(namespace: str) -> str:
    return f"No resources found in {namespace} namespace." if namespace else "No resources found"


def _about(event: Doc) -> str:
    about = event["involvedObject"]
    return f"{about['kind'].lower()}/{about.get('name', '')}"


def _told(event: Doc) -> str:
    count = event.get("count") or (event.get("series") or {}).get("count") or 1
    note = event.get("message", "").replace("\n", " ")
    return f"{note} (x{count})" if count > 1 else note


def _of_table(table: Doc, shown: str, everywhere: bool) -> tuple[list[str], _Rows]:
    columns = table["columnDefinitions"]
    heads = _heads(columns)
    kept = [at for at, column in enumerate(columns) if shown == "wide" or not column["priority"]]
    rows = [[_cells(row, len(heads), heads)[at] for at in kept] for row in table["rows"]]
    chosen = [heads[at] for at in kept]
    if everywhere:
        where = [row["object"]["metadata"].get("namespace", "") for row in table["rows"]]
        return ["NAMESPACE", *chosen], [[w, *row] for w, row in zip(where, rows, strict=True)]
    return chosen, rows


def _heads(columns: Sequence[Mapping[str, Any]]) -> list[str]:
    return [column["name"].upper() for column in columns]


def _cells(row: Doc, count: int, heads: Sequence[str]) -> list[str]:
    cells = [str(cell) if cell is not None else "" for cell in row["cells"]]
    assert len(cells) == count, (cells, heads)
    return cells


def _sorted(caller: Caller, heads: list[str], rows: _Rows) -> list[str]:
    shown = [[caller.session.names.shown(cell) for cell in row] for row in rows]
    shown.sort(key=lambda row: [natural(cell) for cell in row])
    return padded([heads, *shown]) if rows else []


def _found(doc: Any, path: str) -> Any:
    """What is at a path; a list of what is there in each member of a list for a step "*"."""
    before, star, after = _PLACE.sub(r"[\1]", path).partition("*")
    found = looked_up(doc, before.strip(".")) if before.strip(".") else doc
    if not star:
        return found
    rest = after.strip(".")
    return [_found(one, rest) if rest else one for one in found or ()]


def _cell(value: Any) -> str:
    if value is None:
        return "<none>"
    if isinstance(value, list):
        return ",".join(map(_cell, value))
    return orjson.dumps(value).decode() if isinstance(value, (dict, bool)) else str(value)


def _document(value: Any) -> list[str]:
    """As YAML, without what only machines read."""
    import yaml

    if isinstance(value, dict) and "metadata" in value:
        metadata = {k: v for k, v in value["metadata"].items() if k != "managedFields"}
        value = {**value, "metadata": metadata}
    if not isinstance(value, (dict, list)):
        return [_cell(value)]
    text: str = yaml.safe_dump(value, sort_keys=False, width=1000)
    return text.splitlines()
