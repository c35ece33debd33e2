"""Three servers on three members of etcd, of which any is killed: as their users see it."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

import pytest

from longshore.base.clock import SystemClock
from longshore.cluster.config import ClusterPaths
from longshore.cluster.host.machine import lan_namespace, servers_of
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context
from longshore.core.registry.client import Create, Patch
from longshore.doors.kubernetes.client import HttpClient
from longshore.machinery.network.namespaces import socket_in

from .conftest import started
from .driver import Cluster, eventually, longshore
from .leaks import machine, nothing_left
from .test_failures import deployment, process

pytestmark = [pytest.mark.root, pytest.mark.slow]

T = TypeVar("T")
LEASE_S = 3
SOON_S = 12.0
"""More than LEASE_S and what a busy machine adds to it; less than the lease that it would be by default."""
QUICK = (
    "--leader-elect-lease-duration", str(LEASE_S), "--leader-elect-renew-deadline", "2",
    "--leader-elect-retry-period", "0.5",
)  # fmt: skip
CONTROLLERS = "kube-controller-manager"


@pytest.fixture(scope="module")
def trio(short_root: Path) -> Iterator[Cluster]:
    root = short_root / "t"
    before = machine(root)
    cluster = started(
        "trio", root, "--servers", "3", "--nodes", "2", "--hollow",
        "--node-grace", "8", *QUICK,
    )  # fmt: skip
    try:
        yield cluster
    finally:
        cluster.longshore("down")
    asyncio.run(nothing_left(root, before))


@asynccontextmanager
async def admin(cluster: Cluster, *, on_lan: bool = False) -> AsyncIterator[HttpClient]:
    """A client through 127.0.0.1, as every user's; or one that knows all servers, as agents do."""
    paths = ClusterPaths(cluster.root, cluster.name)
    config, lan = paths.load(), lan_namespace(paths)
    context = client_context(Pair.named(paths.pki, "admin"), paths.pki / "ca.crt")
    client = HttpClient(
        servers_of(config, "test") if on_lan else [cluster.server],
        context,
        SystemClock(),
        socket_factory=(lambda: socket_in(lan)) if on_lan else None,
        answer_s=1.0,
    )
    try:
        yield client
    finally:
        client.close()
        await SystemClock().sleep(0.05)  # connections that are closed want a turn of the loop


class Writer:
    """Creates ConfigMaps one after another, and remembers which were acknowledged."""

    def __init__(self, client: HttpClient, prefix: str) -> None:
        self._client, self._prefix = client, prefix
        self.acknowledged: list[str] = []
        self.longest_s = 0.0

    async def run(self) -> None:
        clock = SystemClock()
        while True:
            name, begun = f"{self._prefix}-{len(self.acknowledged)}", clock.monotonic()
            await self._surely(name)
            self.longest_s = max(self.longest_s, clock.monotonic() - begun)
            self.acknowledged.append(name)

    async def _surely(self, name: str) -> None:
        create = Create(kinds.CONFIG_MAP, {"metadata": {"namespace": "default", "name": name}})
        while True:
            try:
                await self._client.write(create)
                return
            except AlreadyExists:
                return  # of an earlier try, whose answer was lost
            except ApiError:
                await SystemClock().sleep(0.02)

    async def nothing_is_lost(self) -> None:
        acknowledged = {*self.acknowledged}
        listing = await patiently(lambda: self._client.list(kinds.CONFIG_MAP, "default"))
        assert acknowledged
        assert acknowledged - {doc["metadata"]["name"] for doc in listing.items} == set()


@asynccontextmanager
async def writing(client: HttpClient, prefix: str) -> AsyncIterator[Writer]:
    writer = Writer(client, prefix)
    async with asyncio.TaskGroup() as crew:
        task = crew.create_task(writer.run())
        yield writer
        task.cancel()


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """What is answered in the end, though servers end meanwhile."""
    while True:
        try:
            return await ask()
        except ApiError:
            await SystemClock().sleep(0.05)


async def leader(client: HttpClient, lease: str = CONTROLLERS) -> str:
    """The name of the server that holds a Lease."""
    doc = await patiently(lambda: client.get(kinds.LEASE, "kube-system", lease))
    held: str = doc["spec"].get("holderIdentity", "")
    return held.partition("_")[0]


async def scaled(
    client: HttpClient, name: str, count: int, counted: str = "readyReplicas"
) -> float:
    """Ask for so many replicas; in how many seconds they are ready (or made: "replicas")."""
    clock, patch = SystemClock(), {"spec": {"replicas": count}}
    begun = clock.monotonic()
    await patiently(lambda: client.write(Patch(kinds.DEPLOYMENT, "default", name, patch)))
    while clock.monotonic() - begun < 60:
        doc = await patiently(lambda: client.get(kinds.DEPLOYMENT, "default", name))
        if (doc.get("status") or {}).get(counted) == count:
            return clock.monotonic() - begun
        await clock.sleep(0.02)
    raise AssertionError(f"{name} has no {count} replicas")


async def all_nodes_ready(client: HttpClient) -> bool:
    listing = await patiently(lambda: client.list(kinds.NODE))
    conditions = [c for doc in listing.items for c in doc["status"]["conditions"]]
    return [c["status"] for c in conditions if c["type"] == "Ready"] == ["True", "True"]


async def test_the_leading_server_is_killed(trio: Cluster) -> None:
    trio.apply(deployment("web", 1))
    async with admin(trio) as client, writing(client, "server") as writer:
        await scaled(client, "web", 2)
        doomed = await leader(client)
        process(trio, doomed).kill(signal.SIGKILL)
        took_s = await scaled(client, "web", 5, "replicas")
        print(f"{took_s:.2f} s, lease {LEASE_S} s; the longest write {writer.longest_s:.2f} s")
        assert took_s < SOON_S
        heir = await leader(client)
        assert heir != doomed
        await scaled(client, "web", 5)
        await writer.nothing_is_lost()
        assert await all_nodes_ready(client)
        assert trio.state() == "degraded"
        await asyncio.to_thread(trio.longshore, "start")
        assert trio.state() == "running"
        assert await leader(client) == heir, "who comes back takes nothing away"
        assert await scaled(client, "web", 1) < SOON_S


async def test_each_member_of_etcd_is_killed_in_turn(trio: Cluster) -> None:
    trio.apply(deployment("db", 1))
    async with admin(trio) as client, writing(client, "member") as writer:
        for number, member in enumerate(("etcd-1", "etcd-2", "etcd-3"), 2):
            process(trio, member).kill(signal.SIGKILL)
            took_s = await scaled(client, "db", number, "replicas")
            print(f"without {member}: {took_s:.2f} s; longest write {writer.longest_s:.2f} s")
            assert took_s < SOON_S
            await scaled(client, "db", number)
            await writer.nothing_is_lost()
            await asyncio.to_thread(trio.longshore, "start")
        assert await all_nodes_ready(client)


async def test_the_leading_server_is_stopped_in_the_middle_and_wakes_up_later(
    trio: Cluster,
) -> None:
    """It keeps its connections and its port. Nodes notice when their next heartbeat has no answer."""
    trio.apply(deployment("sleepy", 1))
    async with admin(trio, on_lan=True) as client:
        await scaled(client, "sleepy", 2)
        victim = process(trio, await leader(client))
        victim.kill(signal.SIGSTOP)
        try:
            took_s = await scaled(client, "sleepy", 6, "replicas")
            assert await leader(client) != victim.role
            await scaled(client, "sleepy", 6)
        finally:
            victim.kill(signal.SIGCONT)
        await SystemClock().sleep(LEASE_S)
        assert len(trio.pods("app=sleepy")) == len(trio.running("app=sleepy")) == 6
        assert await leader(client) != victim.role
        assert await all_nodes_ready(client)
    print(f"{took_s:.2f} s with a lease of {LEASE_S} s")
    assert took_s < SOON_S


async def test_a_watch_through_the_door_goes_on(trio: Cluster) -> None:
    """Each event once, though two servers are killed under it."""
    async with admin(trio) as client:
        _, feed = await client.list_and_watch(kinds.CONFIG_MAP, "kube-public")
        seen: list[str] = []
        for name, role in (("a", "server-1"), ("b", "server-2"), ("c", "")):
            metadata = {"namespace": "kube-public", "name": name}
            write = partial(client.write, Create(kinds.CONFIG_MAP, {"metadata": metadata}))
            await patiently(write)
            while name not in seen:
                seen += [change.doc["metadata"]["name"] for change in await feed.next_batch()]
            if role:
                process(trio, role).kill(signal.SIGKILL)
        feed.close()
        assert [name for name in seen if name in "abc"] == ["a", "b", "c"]
    trio.longshore("start")


def test_status_and_what_down_would_remove(trio: Cluster) -> None:
    assert trio.state() == "running"
    remains = trio.longshore("down", "--list")
    for role in ("server-1", "server-3", "etcd-1", "etcd-3", "node-2"):
        assert f"({role})" in remains


def test_it_is_stopped_and_started(trio: Cluster) -> None:
    trio.longshore("stop")
    assert trio.state() == "stopped"
    trio.longshore("start")
    assert trio.state() == "running"
    assert len(trio.get("nodes")["items"]) == 2


def test_every_server_tells_whether_it_leads(trio: Cluster) -> None:
    status = re.compile(
        rf'^leader_election_master_status{{name="{CONTROLLERS}"}} (\S+)$', re.MULTILINE
    )
    told = [status.findall(trio.kubectl("get", "--raw", "/metrics")) for _ in range(40)]
    assert {one for (one,) in told} == {"0", "1"}, "each call reaches one of the three"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--servers", "2"), "1 server, or 3"),
        (("--servers", "3", "--leader-elect-renew-deadline", "20"), "lease duration"),
        (("--servers", "3", "--authentication-config", "/dev/null"), "not there yet"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    short_root: Path, words: tuple[str, ...], why: str
) -> None:
    refusal = longshore("up", "--hollow", "--root", str(short_root), *words, code=2)
    assert why in refusal and "Traceback" not in refusal


def test_a_machine_without_etcd_is_told_what_to_install(short_root: Path) -> None:
    words = ("up", "--hollow", "--servers", "3", "--root", str(short_root))
    refusal = longshore(*words, code=2, env={"PATH": "/nonexistent"})
    assert "apt-get install etcd-server" in refusal and "Traceback" not in refusal


def test_etcd_takes_no_certificate_of_the_cluster(trio: Cluster) -> None:
    """A node's, or even the administrator's: those of etcd's own authority alone."""
    paths = ClusterPaths(trio.root, trio.name)
    ours = Pair.named(paths.etcd_pki, "server-to-etcd")
    assert _etcd_takes(paths, ours)
    for name in ("node-1-client", "super-admin", "server-to-nodes"):
        assert not _etcd_takes(paths, Pair.named(paths.pki, name)), name


def _etcd_takes(paths: ClusterPaths, pair: Pair) -> bool:
    context = client_context(pair, paths.etcd_pki / "ca.crt")
    context.set_alpn_protocols(["h2"])
    with socket_in(lan_namespace(paths)) as plain:
        plain.settimeout(30)
        plain.connect(("10.90.0.6", 2379))
        try:
            with context.wrap_socket(plain, server_hostname="10.90.0.6") as line:
                line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
                return bool(line.recv(1))  # in TLS 1.3 a refusal comes after the handshake
        except OSError:
            return False


async def test_pods_and_services_of_real_nodes_go_on_without_a_server(
    short_root: Path, images: list[Path]
) -> None:
    cluster = started("real3", short_root, "--servers", "3", "--nodes", "2", *QUICK)
    try:
        cluster.longshore("image load", str(images[0]))
        cluster.apply(web := deployment("web", 2))
        container = web["spec"]["template"]["spec"]["containers"][0]
        container |= {"image": "nginx:1.17.9"}
        del container["command"]
        cluster.apply(web)
        cluster.kubectl("expose", "deployment", "web", "--port=80", "--type=LoadBalancer")
        await eventually(lambda: len(cluster.running("app=web")) == 2, "two replicas")
        await eventually(lambda: answers(cluster), "nginx answers on 127.0.0.1")
        assert len(servers_listed(cluster)) == 3
        process(cluster, "server-2").kill(signal.SIGKILL)
        await eventually(lambda: len(servers_listed(cluster)) == 2, "pods are led to the living")
        assert answers(cluster)
        (one, _) = cluster.running("app=web")
        cluster.kubectl("delete", "pod", one["metadata"]["name"])
        await eventually(lambda: len(cluster.running("app=web")) == 2, "two replicas again")
        assert answers(cluster)
    finally:
        cluster.longshore("down")


def servers_listed(cluster: Cluster) -> list[str]:
    subsets = cluster.get("endpoints", "kubernetes")["subsets"]
    return [one["ip"] for one in subsets[0]["addresses"]]


def answers(cluster: Cluster) -> bool:
    """Whether nginx answers at the port that its Service has on 127.0.0.1."""
    annotations = cluster.get("service", "web")["metadata"].get("annotations", {})
    port = annotations.get("longshore.io/local-ports", "").rpartition("=")[2]
    if not port:
        return False
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=10) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
