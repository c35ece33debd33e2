"""A bare TLS server on uvloop that answers whatever it reads with the same bytes: what a request costs
at least on this machine, with no HTTP read and nothing looked up.

    python -m bench.floor --cert server.crt --key server.key --core 0 --bytes 2600

Prints the port that it listens on, and serves until it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
from typing import cast

import uvloop


class Constant(asyncio.BufferedProtocol):
    """The load asks for one thing at a time, so each read is one request. All read into one buffer, as
    the house does: one made for each read costs more than the rest together."""

    buffer = bytearray(64 * 1024)

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._transport.write(self._answer)


def answer(size: int) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + b"x" * size


async def serve(args: argparse.Namespace) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(args.cert, args.key)
    made = answer(args.bytes)
    server = await asyncio.get_running_loop().create_server(
        lambda: Constant(made), "127.0.0.1", 0, ssl=tls
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--bytes", type=int, default=2600, help="the size of an answer's body")
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    uvloop.run(serve(args))


if __name__ == "__main__":
    main()
