"""What a node's agent answers over HTTP: containers' logs, to the server alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import orjson

from longshore.core.objects.errors import ApiError
from longshore.core.streams.protocols import LogOptions
from longshore.doors.kit.http import AnyReply, Reply, Request, StreamReply

Logs = Callable[[str, str, str, LogOptions], AsyncIterator[bytes]]


class NodeApi:
    """Handles /logs/NAMESPACE/POD/CONTAINER for callers in system:masters, and /healthz."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    async def handle(self, request: Request) -> AnyReply:
        if request.path == "/healthz":
            return Reply(200, b"ok", "text/plain")
        if request.user is None or not request.user.is_master:
            return _failure(403, "only the cluster's server may ask a node")
        match request.path.strip("/").split("/"):
            case ["logs", namespace, pod, container]:
                return await self._log(namespace, pod, container, log_options(request))
        return _failure(404, "not found")

    async def _log(self, namespace: str, pod: str, container: str, options: LogOptions) -> AnyReply:
        pieces = self._logs(namespace, pod, container, options)
        try:
            first = await anext(pieces, b"")
        except ApiError as error:
            return _failure(error.code, error.message)
        return StreamReply(_with_first(first, pieces), content_type="text/plain")


def log_options(request: Request) -> LogOptions:
    """What streams.log_query wrote."""
    tail, limit = request.param("tail"), request.param("limit")
    return LogOptions(
        follow=request.param("follow") == "1",
        previous=request.param("previous") == "1",
        timestamps=request.param("timestamps") == "1",
        since=float(request.param("since", "0")),
        tail_lines=int(tail) if tail else None,
        limit_bytes=int(limit) if limit else None,
    )


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in rest:
        yield piece


def _failure(code: int, message: str) -> Reply:
    return Reply(code, orjson.dumps({"message": message}))
