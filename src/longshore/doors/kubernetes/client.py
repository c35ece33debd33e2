"""The Client of agents and tools: the same verbs as the in-process one, over HTTPS.

It speaks to any of several servers. A feed resumes by itself from the last revision it has seen;
only when that is too old does it raise Expired.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from longshore.base.clock import Clock
from longshore.base.version import GIT_VERSION
from longshore.core.objects import errors
from longshore.core.objects.errors import ApiError, Cause, Expired, InternalError, Unavailable
from longshore.core.objects.kinds import (
    EVICTION,
    POD,
    SERVICE_ACCOUNT,
    TOKEN_REQUEST,
    Doc,
    Kind,
    Ref,
)
from longshore.core.registry.client import (
    Answers,
    Bind,
    Change,
    Create,
    Delete,
    Feed,
    Listing,
    Operation,
    Patch,
    Update,
)
from longshore.doors.kit.fetch import Answer, FetchError, Pool, SocketFactory, Stream
from longshore.doors.kubernetes.managers import APPLY_PATCH

_JSON = "application/json"
# Between two tries to reach a server again; doubles up to the second.
_RETRY_FIRST_S, _RETRY_MOST_S = 0.1, 5.0
# A line of a watch that is longer than this is no object of ours.
_LINE_MAX_BYTES = 16 * 1024 * 1024

_BY_REASON: dict[str, type[ApiError]] = {
    one.reason: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, ApiError) and one is not ApiError
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, before it is sent."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = _JSON


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a client says of itself with every request: agent is the User-Agent, by which what it
    writes is recorded; token a bearer token, where no certificate speaks for it."""

    agent: str = "longshore"
    token: str = ""


class HttpClient:
    """Client (core/registry/client.py) over HTTPS.

    The answer to a Delete may be, and to a Bind is, a metav1.Status instead of the object.
    socket_factory opens sockets in another network namespace; answer_s is how long an answer may
    take (0: as Pool has it).
    """

    def __init__(
        self,
        servers: Sequence[str],
        ssl_context: ssl.SSLContext | None,
        clock: Clock,
        *,
        socket_factory: SocketFactory | None = None,
        answer_s: float = 0.0,
        said: Introduction | None = None,
    ) -> None:
        self._clock = clock
        said = said or Introduction()
        self._headers = {"Accept": _JSON, "User-Agent": f"{said.agent}/{GIT_VERSION}"}
        if said.token:
            self._headers["Authorization"] = f"Bearer {said.token}"
        self._pool = Pool(servers, ssl_context, socket_factory=socket_factory, answer_s=answer_s)

    async def get(self, kind: Kind, namespace: str, name: str) -> Doc:
        return await self._ask(Call("GET", path_of(Ref(kind, namespace, name))), kind)

    async def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        doc = await self._ask(
            Call("GET", collection_of(kind, namespace) + _query(labels, fields)), kind
        )
        own = {"apiVersion": kind.api_version, "kind": kind.name}
        items = [own | item for item in doc["items"]]
        return Listing(items, int(doc["metadata"]["resourceVersion"]))

    async def list_and_watch(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[Listing, Feed]:
        listing = await self.list(kind, namespace, labels=labels, fields=fields)
        selectors = {"labelSelector": labels, "fieldSelector": fields}
        path = collection_of(kind, namespace)
        return listing, HttpFeed(
            self._pool, self._clock, path, selectors, listing.revision, self._headers
        )

    async def read(self, kind: Kind, namespace: str, name: str, **query: int) -> Doc:
        """One of what is reckoned up when it is asked for, or a list (name is empty) of a namespace or
        of all (namespace is empty); query are parameters of its own."""
        path = path_of(Ref(kind, namespace, name)) if name else collection_of(kind, namespace)
        return await self._ask(Call("GET", f"{path}?{urlencode(query)}"), kind)

    async def document(self, path: str) -> Doc:
        """What is at a path that is no object's."""
        return await self._ask(Call("GET", path), None)

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        """Over as many connections as the pool has, each operation a request of its own."""
        async with asyncio.TaskGroup() as crew:
            tasks = [crew.create_task(self._try(operation)) for operation in operations]
        return [task.result() for task in tasks]

    async def write(self, operation: Operation) -> Doc:
        kind = POD if isinstance(operation, Bind) else operation.kind
        return await self._ask(call_of(operation), kind)

    async def apply(self, kind: Kind, doc: Doc, manager: str) -> Doc:
        """Server-side apply (KEP-555) as that field manager: the object as it is then. Raises
        Conflict where somebody else owns a field that doc sets otherwise."""
        metadata = doc["metadata"]
        path = path_of(Ref(kind, metadata.get("namespace", ""), metadata["name"]))
        query = urlencode({"fieldManager": manager})
        body = orjson.dumps(doc)
        return await self._ask(Call("PATCH", f"{path}?{query}", body, APPLY_PATCH), kind)

    async def evict(self, namespace: str, name: str, uid: str) -> None:
        """Ask for a pod to go, if it is still that one. Raises TooManyRequests while a budget keeps
        it, Conflict if there is another of its name."""
        posted = {
            "apiVersion": EVICTION.api_version, "kind": EVICTION.name,
            "metadata": {"namespace": namespace, "name": name},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }  # fmt: skip
        path = path_of(Ref(POD, namespace, name, "eviction"))
        await self._ask(Call("POST", path, orjson.dumps(posted)), POD)

    async def token(self, namespace: str, account: str, spec: Doc) -> Doc:
        """A token of a service account: the status of a TokenRequest with that spec."""
        path = path_of(Ref(SERVICE_ACCOUNT, namespace, account, "token"))
        posted = {
            "apiVersion": TOKEN_REQUEST.api_version, "kind": TOKEN_REQUEST.name, "spec": spec,
        }  # fmt: skip
        answer = await self._ask(Call("POST", path, orjson.dumps(posted)), SERVICE_ACCOUNT)
        status: Doc = answer["status"]
        return status

    def close(self) -> None:
        self._pool.close()

    async def _try(self, operation: Operation) -> Doc | ApiError:
        try:
            return await self.write(operation)
        except ApiError as error:
            return error

    async def _ask(self, call: Call, kind: Kind | None) -> Doc:
        headers = self._headers
        if call.body:
            headers = headers | {"Content-Type": call.content_type}
        try:
            answer = await self._pool.fetch(call.method, call.path, headers, call.body)
        except FetchError as error:
            raise Unavailable(str(error)) from error
        if answer.status >= 400:
            raise error_of(answer.status, answer.body, kind)
        return _decoded(answer)


def _decoded(answer: Answer) -> Doc:
    try:
        doc: Doc = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise InternalError(f"the server's answer is not JSON: {error}") from error
    return doc


# --- what is asked ---


def call_of(operation: Operation) -> Call:
    """The request that an operation is."""
    match operation:
        case Create(kind, doc):
            path = collection_of(kind, (doc.get("metadata") or {}).get("namespace", ""))
            return Call("POST", path, orjson.dumps(doc))
        case Update(kind, doc, subresource):
            metadata = doc["metadata"]
            ref = Ref(kind, metadata.get("namespace", ""), metadata["name"], subresource)
            return Call("PUT", path_of(ref), orjson.dumps(doc))
        case Patch(kind, namespace, name, patch, subresource):
            ref = Ref(kind, namespace, name, subresource)
            media = "application/merge-patch+json"
            return Call("PATCH", path_of(ref), orjson.dumps(patch), media)
        case Delete(kind, namespace, name):
            body = orjson.dumps(_delete_options(operation))
            return Call("DELETE", path_of(Ref(kind, namespace, name)), body)
        case Bind(namespace, name, node, uid):
            ref = Ref(POD, namespace, name, "binding")
            return Call("POST", path_of(ref), orjson.dumps(_binding(namespace, name, node, uid)))


def _delete_options(operation: Delete) -> Doc:
    options = operation.options
    doc: Doc = {"apiVersion": "v1", "kind": "DeleteOptions"}
    doc["propagationPolicy"] = options.propagation
    if options.grace_s is not None:
        doc["gracePeriodSeconds"] = options.grace_s
    wants = {"uid": options.uid, "resourceVersion": options.revision}
    if any(wants.values()):
        doc["preconditions"] = {key: value for key, value in wants.items() if value}
    return doc


def _binding(namespace: str, name: str, node: str, uid: str) -> Doc:
    metadata = {"namespace": namespace, "name": name} | ({"uid": uid} if uid else {})
    return {
        "apiVersion": "v1", "kind": "Binding", "metadata": metadata,
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }  # fmt: skip


def collection_of(kind: Kind, namespace: str = "") -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if kind.namespaced and namespace else ""
    return f"{root}{inside}/{kind.plural}"


def path_of(ref: Ref) -> str:
    path = f"{collection_of(ref.kind, ref.namespace)}/{quote(ref.name, safe='')}"
    return f"{path}/{ref.subresource}" if ref.subresource else path


def _query(labels: str, fields: str) -> str:
    chosen = {"labelSelector": labels, "fieldSelector": fields}
    text = urlencode({key: value for key, value in chosen.items() if value})
    return f"?{text}" if text else ""


def error_of(status: int, body: bytes, kind: Kind | None) -> ApiError:
    """The error that an answer's metav1.Status stands for."""
    try:
        doc = orjson.loads(body)
    except orjson.JSONDecodeError:
        doc = {}
    if not isinstance(doc, dict) or doc.get("kind") != "Status":
        doc = {"message": body[:200].decode(errors="replace").strip() or f"status {status}"}
    return error_of_status(doc, status, kind)


def error_of_status(doc: Doc, status: int, kind: Kind | None) -> ApiError:
    details = doc.get("details") or {}
    causes = [
        Cause(c.get("reason", ""), c.get("message", ""), c.get("field", ""))
        for c in details.get("causes") or ()
    ]
    made = _BY_REASON.get(doc.get("reason", "")) or _by_code(doc.get("code") or status)
    return made(
        doc.get("message", ""), kind=kind, name=details.get("name", ""), causes=causes,
        retry_after_s=details.get("retryAfterSeconds", 0),
    )  # fmt: skip


def _by_code(code: int) -> type[ApiError]:
    return next((one for one in _BY_REASON.values() if one.code == code), InternalError)


# --- feeds ---


class HttpFeed:
    """Changes after a revision. Reading happens in next_batch alone: who does not ask is not sent
    more than the connection holds, and the server drops it in the end (Expired)."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        path: str,
        selectors: dict[str, str],
        revision: int,
        headers: dict[str, str],
    ) -> None:
        self._headers = headers
        self._pool = pool
        self._clock = clock
        self._path = path
        self._query = {key: value for key, value in selectors.items() if value}
        self._revision = revision
        self._stream: Stream | None = None
        self._rest = b""
        self._closed = False

    async def next_batch(self) -> list[Change]:
        """As Feed has it. Connects, and connects again, as needed."""
        pause_s = _RETRY_FIRST_S
        while True:
            if self._closed:
                raise Expired("the feed is closed")
            try:
                changes = await self._read()
            except FetchError:
                self._drop()
                await self._clock.sleep(pause_s)
                pause_s = min(pause_s * 2, _RETRY_MOST_S)
                continue
            if changes:
                return changes
            pause_s = _RETRY_FIRST_S

    def close(self) -> None:
        self._closed = True
        self._drop()

    async def _read(self) -> list[Change]:
        """What the stream brings next: empty for a bookmark, or when it ended in good order."""
        if self._stream is None:
            self._stream = await self._open()
        piece = await self._stream.piece()
        if not piece:
            self._drop()
            # An ended watch is normal; one that ends at once, over and over, must not spin.
            await self._clock.sleep(_RETRY_FIRST_S)
            return []
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LINE_MAX_BYTES:
            raise InternalError("a watch sent a line without end")
        return [change for line in lines if line and (change := self._change(line)) is not None]

    async def _open(self) -> Stream:
        query = self._query | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self._revision),
        }
        stream = await self._pool.stream(f"{self._path}?{urlencode(query)}", self._headers)
        if stream.answer.status == 200:
            return stream
        try:
            body = b""
            while piece := await stream.piece():
                body += piece
        finally:
            stream.close()
        error = error_of(stream.answer.status, body, None)
        if error.code in (429, 500, 503, 504):
            raise FetchError(error.message, sent=False)
        raise error

    def _change(self, line: bytes) -> Change | None:
        event: dict[str, Any] = orjson.loads(line)
        doc = event["object"]
        if event["type"] == "ERROR":
            self._drop()
            raise error_of_status(doc, doc.get("code", 500), None)
        self._revision = int(doc["metadata"]["resourceVersion"])
        if event["type"] == "BOOKMARK":
            return None
        return Change(event["type"], doc)

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        self._rest = b""
        if stream is not None:
            stream.close()
