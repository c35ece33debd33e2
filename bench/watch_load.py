"""Watchers for a server, from a process of its own: many connections that watch ConfigMaps while one
writer patches them at a fixed rate.

    python bench/watch_load.py --port 6443 --cert admin.crt --key admin.key --ca ca.crt

Every change carries the time at which it was asked for; the first watcher of all reads it, the
others only count. Prints one JSON object: changes made, changes received by each watcher (least and
most), latencies in ms, the CPU of the server (also for one change told to one watcher, and for one
watcher told once: a round, as the first watcher reads them) and of this process, in cores.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import ssl
import statistics
import time
from collections.abc import Callable
from typing import TypeVar, cast

import httptools
import orjson
import uvloop

from bench.http_load import arguments, context, cpu_seconds, request
from longshore.base.clock import SystemClock

PATH = "/api/v1/namespaces/default/configmaps"
WRITERS = 32
_EVENT = b'{"type":"MODIFIED"'
P = TypeVar("P", bound=asyncio.BaseProtocol)
_SENT = re.compile(rb'"sent":"([0-9.]+)"')


class Watcher(asyncio.BufferedProtocol):
    """Counts the changes that it is told of; with latencies, it reads when they were asked for.
    All share one buffer, since whoever reads also counts before the next one reads."""

    buffer = memoryview(bytearray(256 * 1024))

    def __init__(self, path: str, latencies: list[float] | None) -> None:
        self.path, self.latencies = path, latencies
        self.count = self.reads = 0
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(request("GET", self.path))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.reads += 1
        data = self._rest + self.buffer[:nbytes]
        self.count += data.count(_EVENT)
        if self.latencies is not None:
            now = time.perf_counter()
            self.latencies += [now - float(sent) for sent in _SENT.findall(data)]
        # A mark that is cut in two is seen whole with what comes next.
        self._rest = data[-(len(_EVENT) - 1) :] if self.latencies is None else b""


class Writer(asyncio.Protocol):
    """One connection that sends requests and counts the answers. The server answers a connection in
    order, so changes that are to share a commit come over several."""

    def __init__(self) -> None:
        self.answered = 0
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        assert self._parser.get_status_code() in (200, 201), self._parser.get_status_code()
        self.answered += 1


async def run(args: argparse.Namespace) -> None:
    tls, clock = context(args), SystemClock()
    writers = [await _connect(args, tls, Writer()) for _ in range(WRITERS)]
    for number in range(args.objects):
        body = orjson.dumps({"metadata": {"name": f"watched-{number}"}, "data": {"sent": "0"}})
        writers[0].transport.write(request("POST", PATH, body))
    await _until(clock, lambda: writers[0].answered == args.objects)
    latencies: list[float] = []
    path = f"{PATH}?watch=1&fieldSelector=metadata.namespace%3Ddefault"
    watchers = [await _connect(args, tls, Watcher(path, latencies))]
    watchers += [await _connect(args, tls, Watcher(path, None)) for _ in range(args.watchers - 1)]
    await clock.sleep(2.0)
    latencies.clear()
    read_before = watchers[0].reads
    begun, cpu, own = time.perf_counter(), cpu_seconds(args.pid), time.process_time()
    changes = await _write(args, writers, clock)
    took, spent = time.perf_counter() - begun, cpu_seconds(args.pid) - cpu
    reading, rounds = time.process_time() - own, watchers[0].reads - read_before
    await clock.sleep(2.0)
    counts = [watcher.count for watcher in watchers]
    latencies.sort()
    told = {
        "changes": changes, "per_second": changes / took, "least": min(counts), "most": max(counts),
        "p50_ms": statistics.median(latencies) * 1e3,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1e3, "server_cores": spent / took,
        "client_cores": reading / took, "told_us": spent / (len(watchers) * changes) * 1e6,
        "rounds_per_second": rounds / took, "round_us": spent / (len(watchers) * rounds) * 1e6,
    }  # fmt: skip
    print(orjson.dumps(told).decode())


async def _write(args: argparse.Namespace, writers: list[Writer], clock: SystemClock) -> int:
    """Changes at the wished rate, in steps of a few milliseconds; how many."""
    begun, sent, first = time.perf_counter(), 0, _answered(writers)
    while (now := time.perf_counter() - begun) < args.seconds:
        for _ in range(int(now * args.rate) - sent):
            body = b'{"data":{"sent":"%.6f"}}' % time.perf_counter()
            path = f"{PATH}/watched-{sent % args.objects}"
            asked = request("PATCH", path, body, "application/merge-patch+json")
            writers[sent % WRITERS].transport.write(asked)
            sent += 1
        await clock.sleep(0.003)
    await _until(clock, lambda: _answered(writers) - first >= sent)
    return sent


def _answered(writers: list[Writer]) -> int:
    return sum(writer.answered for writer in writers)


async def _until(clock: SystemClock, true: Callable[[], bool]) -> None:
    while not true():
        await clock.sleep(0.001)


async def _connect(args: argparse.Namespace, tls: ssl.SSLContext | None, made: P) -> P:
    loop = asyncio.get_running_loop()

    def factory() -> P:
        return made

    await loop.create_connection(
        factory, args.host, args.port, ssl=tls, server_hostname="localhost" if tls else None
    )
    return made


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--objects", type=int, default=100)
    parser.add_argument("--rate", type=float, default=1000.0, help="changes a second")
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    uvloop.run(run(args))


if __name__ == "__main__":
    main()
