"""gzip for large replies, as the Kubernetes API server does it: level 1, from 128 KiB on."""

from __future__ import annotations

import asyncio
import zlib

from longshore.doors.kit.http import Reply, Request

# apiserver/pkg/endpoints/handlers/responsewriters: defaultGzipThresholdBytes, level 1.
GZIP_FROM_BYTES = 128 * 1024
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def worth_gzip(request: Request, reply: Reply) -> bool:
    if len(reply.body) < GZIP_FROM_BYTES or "Content-Encoding" in reply.headers:
        return False
    return accepts_gzip(request.headers.get("accept-encoding", ""))


def accepts_gzip(accept_encoding: str) -> bool:
    for offer in accept_encoding.split(","):
        name, _, weight = offer.strip().lower().partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def gzipped(body: bytes) -> bytes:
    """In a thread: zlib lets the interpreter go, so the loop goes on meanwhile."""
    return await asyncio.to_thread(zlib.compress, body, 1, _GZIP_WINDOW)
