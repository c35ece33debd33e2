"""Load for a server through TLS on many connections, from a process of its own: creates of objects of
1.5 KB, or reads or merge patches of objects that it created first.

    python bench/http_load.py --verb create --port 6443 --cert admin.crt --key admin.key --ca ca.crt

Prints one JSON object: requests per second, latencies, and the CPU that the server's process
(--pid) spent on each.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import statistics
import time
from pathlib import Path

import httptools
import orjson
import uvloop

from longshore.base.clock import SystemClock


def pod(name: str) -> bytes:
    """A pod of about 1.5 KB, as a Deployment's controller would make it, for a scheduler that is not
    there: what is measured is the API."""
    container = {
        "name": "web",
        "image": "nginx:1.27.1",
        "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
        "env": [{"name": f"SETTING_{n}", "value": f"value-of-setting-{n}"} for n in range(15)],
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"cpu": "200m", "memory": "128Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 80}, "periodSeconds": 5},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    return orjson.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": {"app": "web", "tier": "front", "release": "stable"},
                "annotations": {"example.org/description": "a pod as a benchmark makes it " * 3},
            },
            "spec": {
                "containers": [container],
                "schedulerName": "nobody",
                "volumes": [{"name": "data", "emptyDir": {}}],
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": [{"key": "example.org/spot", "operator": "Exists"}],
            },
        }
    )


def config_map(name: str) -> bytes:
    """A ConfigMap of 1.5 KB."""
    data = {f"setting-{n}": f"value of setting number {n} " * 4 for n in range(11)}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    return orjson.dumps(document)


OBJECTS = {"pods": pod, "configmaps": config_map}


def request(method: str, path: str, body: bytes = b"", media: str = "application/json") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\n"
        f"Accept: application/json\r\nContent-Type: {media}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Caller(asyncio.Protocol):
    """One connection that asks one thing after another until told to stop. Reads and patches go to
    one object of its own, made by its first request."""

    def __init__(self, number: int, path: str, tag: str, verb: str) -> None:
        self.number, self.path, self.tag, self.verb = number, path, tag, verb
        self.make = OBJECTS[path.rpartition("/")[2]]
        self.count = self.failures = 0
        self.latencies: list[float] = []
        self.stopping = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def send(self) -> None:
        asked = self._next()
        self._sent = time.perf_counter()
        self.transport.write(asked)

    def _next(self) -> bytes:
        own = f"object-{self.tag}-{self.number}"
        if self.verb == "create":
            return request("POST", self.path, self.make(f"{own}-{self.count}"))
        if self.count == 0:
            return request("POST", self.path, self.make(own))
        if self.verb == "get":
            return request("GET", f"{self.path}/{own}")
        change = b'{"metadata":{"annotations":{"example.org/count":"%d"}}}' % self.count
        return request("PATCH", f"{self.path}/{own}", change, "application/merge-patch+json")

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.latencies.append(time.perf_counter() - self._sent)
        self.count += 1
        if self._parser.get_status_code() not in (200, 201):
            self.failures += 1
        if self.stopping:
            self.done.set_result(None)
            self.transport.close()
        else:
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.failures += 1
            self.done.set_result(None)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def context(args: argparse.Namespace) -> ssl.SSLContext | None:
    if not args.ca:
        return None
    made = ssl.create_default_context(cafile=args.ca)
    made.load_cert_chain(args.cert, args.key)
    return made


async def run(args: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    tag, path = f"{time.time_ns():x}", f"/api/v1/namespaces/{args.namespace}/{args.kind}"
    callers = []
    for number in range(args.connections):
        _, caller = await loop.create_connection(
            lambda number=number: Caller(number, path, tag, args.verb),
            args.host, args.port, ssl=context(args),
            server_hostname="localhost" if args.ca else None,
        )  # fmt: skip
        callers.append(caller)
    begun, cpu = time.perf_counter(), cpu_seconds(args.pid) if args.pid else 0.0
    for caller in callers:
        caller.send()
    await SystemClock().sleep(args.seconds)
    for caller in callers:
        caller.stopping = True
    await asyncio.gather(*(caller.done for caller in callers))
    took, count = time.perf_counter() - begun, sum(c.count for c in callers)
    latencies = sorted(one for c in callers for one in c.latencies)
    result = {
        "per_second": count / took,
        "p50_ms": statistics.median(latencies) * 1e3,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1e3,
        "failures": sum(c.failures for c in callers),
        "body_bytes": len(OBJECTS[args.kind]("object-0")),
    }
    if args.pid:
        result["server_cpu_us"] = (cpu_seconds(args.pid) - cpu) / count * 1e6
    print(orjson.dumps(result).decode())


def arguments(about: str | None) -> argparse.ArgumentParser:
    """What every load is told: whom to load, for how long, and how to reach it."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6443)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--pid", type=int, default=0, help="the server's process, for its CPU")
    parser.add_argument("--core", type=int, default=1, help="the core this process keeps to")
    parser.add_argument("--ca", default="", help="without it, plain HTTP")
    parser.add_argument("--cert", default="")
    parser.add_argument("--key", default="")
    return parser


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--verb", choices=("create", "get", "patch"), default="create")
    parser.add_argument("--kind", choices=sorted(OBJECTS), default="configmaps")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--connections", type=int, default=64)
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    uvloop.run(run(args))


if __name__ == "__main__":
    main()
