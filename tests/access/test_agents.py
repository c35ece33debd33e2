"""What pods try on the node that runs them: to use its agent up, and to lead it out of their own files.
The agent is root; what it follows, it follows as root."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pytest

from longshore.base.users import SERVERS, User
from longshore.cluster.agent.api import NodeApi
from longshore.core.objects.errors import NotFound
from longshore.core.streams.protocols import ExecOptions, LogOptions, Session
from longshore.doors.kit.http import Reply, Request
from longshore.machinery.kubelet.containers.environment import (
    ALL_MAX,
    Sources,
    container_env,
    expand_all,
)
from longshore.machinery.kubelet.containers.facts import ConfigMissing, Facts
from longshore.machinery.kubelet.volumes import mounting
from longshore.machinery.kubelet.volumes.run import pin_sub_path
from tests.doors.rig import ADMIN, kube
from tests.permission.rig import JANE, node

FACTS = Facts({"metadata": {"name": "p", "namespace": "n"}, "spec": {}}, "n1", "10.0.0.1")
CANARY = "canary-51c7"


def environment(*values: tuple[str, str]) -> dict[str, str]:
    entries = [{"name": name, "value": value} for name, value in values]
    return container_env({"name": "c", "env": entries}, FACTS, Sources())


# --- variables ---


def test_variables_that_name_others_twice_do_not_grow_without_end() -> None:
    doubling = [(f"A{n}", f"$(A{n - 1})$(A{n - 1})") for n in range(1, 64)]
    with pytest.raises(ConfigMissing, match="longer than 131072 characters"):
        environment(("A0", "x" * 100), *doubling)
    known = environment(("A0", "x" * 100), *doubling[:10])
    assert known["A10"] == "x" * 102_400


def test_many_large_variables_and_arguments_are_bounded_together() -> None:
    large = ("A", "x" * 100_000)
    with pytest.raises(ConfigMissing, match=f"longer than {ALL_MAX} characters together"):
        environment(large, *((f"B{n}", "$(A)") for n in range(1000)))
    with pytest.raises(ConfigMissing, match="together"):
        expand_all(("$(A)" for _ in range(1000)), dict([large]))
    assert expand_all(["$(B)" * 30_000], {}) == ["$(B)" * 30_000]


# --- files below a volume ---


_AT_FDCWD, _EXCHANGE = -100, 2


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """Somebody who exchanges the two, again and again, as fast as they can (renameat2(2))."""
    libc, over = ctypes.CDLL(None, use_errno=True), threading.Event()
    names = os.fsencode(one), os.fsencode(other)

    def swap() -> None:
        while not over.is_set():
            libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE)

    worker = threading.Thread(target=swap)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join()


@pytest.mark.root
@pytest.mark.slow
def test_a_race_does_not_lead_out_of_a_volume(tmp_path: Path) -> None:
    """What is mounted is what was looked at, whatever it is called by then (CVE-2017-1002101)."""
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    (volume / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text(CANARY, encoding="utf-8")
    (tmp_path / "link").symlink_to(outside)
    pin, seen = tmp_path / "pins" / "0", 0
    try:
        with swapping(volume / "sub", tmp_path / "link"):
            for _ in range(100):
                try:
                    place = pin_sub_path(volume, "sub", pin)
                except OSError:
                    continue
                seen += 1
                assert not (place / "secret").exists()
                mounting.unmount_below(pin)
    finally:
        mounting.unmount_below(tmp_path)
    assert os.listdir(outside) == ["secret"]
    assert seen > 0


@pytest.mark.parametrize(
    "sub",
    [
        "..", "../volume2", "a/../../volume2", "up", "up/volume2", "root/etc", "proc", "loop/x",
        "inner/../../volume2", "absolute",
    ],
)  # fmt: skip
def test_links_within_a_volume_stay_in_it(tmp_path: Path, sub: str) -> None:
    """Also to a neighbour whose name begins alike."""
    volume, neighbour = tmp_path / "volume", tmp_path / "volume2"
    for one in (volume / "inner", neighbour):
        one.mkdir(parents=True)
    links = {
        "up": "..", "root": "/", "proc": "/proc/self/root", "loop": "loop",
        "absolute": str(neighbour),
    }  # fmt: skip
    for name, target in links.items():
        (volume / name).symlink_to(target)
    try:
        with pytest.raises(OSError):
            pin_sub_path(volume, sub, tmp_path / "pin")
    finally:
        mounting.unmount_below(tmp_path)
    assert os.listdir(neighbour) == []


# --- logs ---


Dialled: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Containers:
    """A kubelet that knows one pod, and no files."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def logs(
        self, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncGenerator[bytes, None]:
        self.asked.append((namespace, pod, container))
        if (namespace, pod, container) != ("n", "p", "c"):
            raise NotFound(f"container {container} of pod {pod} is not here")
        yield b"fine"

    async def exec(self, namespace: str, pod: str, container: str, options: ExecOptions) -> Session:
        self.asked.append((namespace, pod, container))
        raise NotFound(f"container {container} of pod {pod} runs nothing")

    attach = exec

    async def dial(self, namespace: str, pod: str, port: int) -> Dialled:
        self.asked.append((namespace, pod, str(port)))
        raise ConnectionRefusedError(f"nobody listens on port {port} of pod {pod}")

    async def summary(self, *, only_cpu_and_memory: bool = False) -> dict[str, Any]:
        return {}

    async def metrics(self, path: str) -> str:
        raise NotFound(f"there is no /metrics/{path}")

    def pods(self) -> dict[str, Any]:
        return {}

    configuration = pods


def answering(node: Containers) -> NodeApi:
    return NodeApi(node, node)


def request_of(path: str, user: Any = ADMIN) -> Request:
    return Request("GET", path, {}, {}, b"", user)


@pytest.mark.parametrize(
    "path",
    [
        "/logs/../../etc/passwd", "/logs/n/p/../../../../etc/passwd", "/logs/n/../../x", "/logs/n//c",
        "/logs/n/p/c/../../../../etc/shadow", "/logs/n/p/c/0.log", "/logs", "/logs/", "/logs/n/p",
        "//logs/../n/p/c", "/etc/passwd", "/logs/n/p/c\0", "/logs/n/p/..", "/var/log/syslog",
    ],
)  # fmt: skip
async def test_a_log_is_a_containers_and_no_path(path: str) -> None:
    api = answering(Containers())
    reply = await api.handle(request_of(path))
    assert isinstance(reply, Reply) and reply.status == 404, path


async def test_servers_are_known_to_nodes_and_may_nothing_at_the_api() -> None:
    server = User("longshore:server", (SERVERS,))
    reply = await answering(Containers()).handle(request_of("/stats/summary", server))
    assert isinstance(reply, Reply) and reply.status == 200
    async with kube(roles=True) as ask:
        ask.user = server
        for path in ("/api/v1/secrets", "/api/v1/nodes", "/api/v1/namespaces/default/pods"):
            assert (await ask("GET", path)).status == 403


@pytest.mark.parametrize("who", [None, JANE, node("n1"), node("n2")], ids=str)
@pytest.mark.parametrize(
    "path",
    [
        "/logs/n/p/c",
        "/exec/n/p/c",
        "/attach/n/p/c",
        "/portforward/n/p",
        "/stats/summary",
        "/metrics",
        "/metrics/cadvisor",
        "/pods",
        "/configz",
    ],
)
async def test_a_node_answers_the_server_alone(path: str, who: Any) -> None:
    containers = Containers()
    reply = await answering(containers).handle(request_of(path, who))
    assert isinstance(reply, Reply) and reply.status == 403
    assert orjson.loads(reply.body)["message"] == "only the cluster's server may ask a node"
    assert containers.asked == []
