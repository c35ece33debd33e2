"""What the network's tests share: documents, a Client that tests feed by hand, a real LAN."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from longshore.base.addresses import DNS_ADDRESS, LAN_RANGE, POD_RANGE, SERVICE_RANGE
from longshore.base.clock import SystemClock
from longshore.core.objects.errors import ApiError, Expired, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import (
    Answers,
    Change,
    ChangeType,
    Create,
    Delete,
    Feed,
    Listing,
    Operation,
    Patch,
    Update,
)
from longshore.machinery.network import namespaces
from longshore.machinery.network.lan import build_lan, lan_path, node_path, tear_down
from longshore.machinery.network.pods import PodNetwork
from longshore.machinery.network.ranges import NodeNet, node_net
from longshore.machinery.network.services.plan import Site

T = TypeVar("T")


def service(name: str = "web", ip: str = "10.96.0.50", **spec: Any) -> Doc:
    ports = spec.pop("ports", [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80}])
    annotations = spec.pop("annotations", {})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": "default", "name": name, "uid": f"uid-{name}", "annotations": annotations,
        },
        "spec": {"type": "ClusterIP", "clusterIP": ip, "ports": ports} | spec,
    }  # fmt: skip


def endpoint(ip: str, **more: Any) -> Doc:
    return {"addresses": [ip], "conditions": {"ready": True}} | more


def endpoint_slice(
    name: str = "web", *entries: Doc, port: int = 80, port_name: str = "http", protocol: str = "TCP"
) -> Doc:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": "default",
            "name": f"{name}-1",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": list(entries),
        "ports": [{"name": port_name, "protocol": protocol, "port": port}],
    }


def site(node: NodeNet) -> Site:
    return Site(
        node.name, (node.lan_ip,), node.pod_cidr, POD_RANGE, SERVICE_RANGE, (LAN_RANGE,),
        (DNS_ADDRESS,),
    )  # fmt: skip


class HandFeed:
    """A Feed of what the test puts in."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue()

    def put(self, change: Change | None) -> None:
        self._queue.put_nowait(change)

    async def next_batch(self) -> list[Change]:
        batch = [await self._queue.get()]
        while not self._queue.empty():
            batch.append(self._queue.get_nowait())
        changes = [change for change in batch if change is not None]
        if len(changes) < len(batch):
            raise Expired("the test broke the feed")
        return changes

    def close(self) -> None: ...


class HandCluster:
    """A Client over a dict of documents, with working feeds; writes are merge patches."""

    def __init__(self, *docs: tuple[Kind, Doc]) -> None:
        self.docs: dict[tuple[Kind, str, str], Doc] = {}
        self.written: list[Operation] = []
        self.refuse_lists = 0
        self._feeds: list[tuple[Kind, HandFeed]] = []
        for kind, doc in docs:
            self.docs[self._key(kind, doc)] = doc

    def put(self, kind: Kind, doc: Doc) -> None:
        key = self._key(kind, doc)
        type_: ChangeType = "MODIFIED" if key in self.docs else "ADDED"
        self.docs[key] = doc
        self._tell(kind, Change(type_, doc))

    def drop(self, kind: Kind, doc: Doc) -> None:
        self._tell(kind, Change("DELETED", self.docs.pop(self._key(kind, doc))))

    def break_feeds(self) -> None:
        """Every feed ends as one that fell behind does."""
        feeds, self._feeds = self._feeds, []
        for _, feed in feeds:
            feed.put(None)

    async def get(self, kind: Kind, namespace: str, name: str) -> Doc:
        try:
            return self.docs[kind, namespace, name]
        except KeyError:
            raise NotFound.of(kind, name) from None

    async def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        if self.refuse_lists:
            self.refuse_lists -= 1
            raise ApiError("not now")
        return Listing(
            [doc for (k, _, _), doc in sorted(self.docs.items(), key=_order) if k == kind], 1
        )

    async def list_and_watch(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[Listing, Feed]:
        listing = await self.list(kind)
        feed = HandFeed()
        self._feeds.append((kind, feed))
        return listing, feed

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        return [await self.write(operation) for operation in operations]

    async def write(self, operation: Operation) -> Doc:
        self.written.append(operation)
        match operation:
            case Patch(kind, namespace, name, patch):
                doc = merged(await self.get(kind, namespace, name), patch)
            case Create(kind, doc) | Update(kind, doc):
                pass
            case _:
                assert not isinstance(operation, Delete), operation
                raise AssertionError(operation)
        self.put(kind, doc)
        return doc

    def _tell(self, kind: Kind, change: Change) -> None:
        for of, feed in self._feeds:
            if of == kind:
                feed.put(change)

    @staticmethod
    def _key(kind: Kind, doc: Doc) -> tuple[Kind, str, str]:
        return kind, doc["metadata"].get("namespace", ""), doc["metadata"]["name"]


def _order(entry: tuple[tuple[Kind, str, str], Doc]) -> tuple[str, str, str]:
    (kind, namespace, name), _ = entry
    return kind.plural, namespace, name


def merged(doc: Doc, patch: Doc) -> Doc:
    """RFC 7396."""
    result = dict(doc)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result.get(key) or {}, value)
        else:
            result[key] = value
    return result


@dataclass(frozen=True)
class Lan:
    """A real LAN of namespaces below a temporary directory."""

    directory: Path
    nodes: tuple[NodeNet, ...]

    def node_ns(self, index: int) -> str:
        return str(node_path(self.directory, self.nodes[index].name))

    @property
    def lan_ns(self) -> str:
        return str(lan_path(self.directory))

    def pods(self, index: int, *, pool_size: int = 0) -> PodNetwork:
        node = self.nodes[index]
        return PodNetwork(
            node, self.directory / f"pods-{node.name}", SystemClock(),
            node_ns=self.node_ns(index), pool_size=pool_size,
        )  # fmt: skip


@contextmanager
def real_lan(directory: Path, count: int = 2) -> Iterator[Lan]:
    nodes = tuple(node_net(f"node-{number}", number) for number in range(1, count + 1))
    build_lan(directory, nodes)
    try:
        yield Lan(directory, nodes)
    finally:
        tear_down(directory)


def shell(namespace: str, *command: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command to its end inside a namespace."""
    with namespaces.entered(namespace):
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=timeout_s
        )


async def off_loop(work: Callable[[], T]) -> T:
    """Run blocking work in a thread, since the loop is busy being the cluster."""
    with ThreadPoolExecutor(1) as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, work)


@contextmanager
def process(namespace: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process inside a namespace, ended afterwards."""
    with namespaces.entered(namespace):
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.kill()
        running.wait()
