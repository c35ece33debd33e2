"""The agent on real containers: conmon, runc, busybox. Needs root."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.core.objects import kinds
from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Delete, DeleteOptions, Patch
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.core.streams.protocols import LogOptions
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.network import Attachment, HollowAddress
from longshore.machinery.kubelet.resource_settings import ResourceSettings
from longshore.machinery.kubelet.run import Kubelet
from longshore.machinery.kubelet.volumes.mounting import mount_points, unmount_below
from longshore.machinery.runtime.images import ImageConfig, ImageStore, build_image
from longshore.machinery.runtime.oci.destroy import destroy_all
from longshore.machinery.runtime.oci.run import OciRuntime

from .docs import container, pod
from .world import ADMIN, NO_ACCOUNTS, NODE

pytestmark = [pytest.mark.root, pytest.mark.slow]
IMAGE = "busybox:1.35"
_APPLETS = (
    "sh",
    "sleep",
    "cat",
    "echo",
    "ls",
    "id",
    "hostname",
    "grep",
    "kill",
    "true",
    "wc",
    "mkdir",
)


class OneNamespace:
    """All pods in one network namespace that has nothing in it."""

    def __init__(self, netns: str) -> None:
        self._place = HollowAddress(netns, "127.0.0.1")
        self._pods: dict[str, Attachment] = {}

    async def attach(self, pod_uid: str) -> Attachment:
        return self._pods.setdefault(pod_uid, self._place)

    async def detach(self, pod_uid: str) -> None:
        self._pods.pop(pod_uid, None)

    def attached(self) -> Mapping[str, Attachment]:
        return self._pods


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    root = tmp_path_factory.mktemp("images")
    links = {f"bin/{applet}": "busybox" for applet in _APPLETS}
    files: dict[str, Path | bytes] = {
        "bin/busybox": Path("/usr/bin/busybox"),
        "etc/passwd": b"root:x:0:0:root:/:/bin/sh\n",
    }
    build_image(root / "b.tar", [IMAGE], ImageConfig(links=links), files=files)
    store = ImageStore(root / "store")
    store.load(root / "b.tar")
    return store


@pytest.fixture(scope="module")
def netns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("netns") / "empty"
    path.touch()
    subprocess.run(["unshare", f"--net={path}", "true"], check=True)
    yield str(path)
    unmount_below(path)


class Node:
    """One agent on real containers, over a real registry, in real time."""

    def __init__(
        self, root: Path, images: ImageStore, netns: str, group: str, crew: asyncio.TaskGroup
    ) -> None:
        self.root, self._images, self._crew = root, images, crew
        self.group = group
        self._network = OneNamespace(netns)
        self.registry = Registry(MemoryStore(), SystemClock(), Chance.seeded(1), NO_ACCOUNTS)
        self.client = InProcess(self.registry, ADMIN)
        self.kubelet: Kubelet
        self.task: asyncio.Task[None]

    def start(self) -> None:
        clock = SystemClock()
        agent, told = self.root / "agent", self.settings()
        config = KubeletConfig(NODE, agent, "127.0.0.1", resources=told)
        runtime = OciRuntime(self.root / "oci", self._images, clock, cgroup_parent=self.group)
        self.kubelet = Kubelet(config, self.client, runtime, self._network, clock, Chance.seeded(2))
        self.task = self._crew.create_task(self.kubelet.run())

    def settings(self) -> ResourceSettings:
        return ResourceSettings()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    async def run_pod(self, doc: Doc) -> None:
        metadata = {"name": doc["metadata"]["name"], "namespace": "shop"}
        await self.client.write(Create(kinds.POD, {**doc, "metadata": metadata}))

    def status(self, name: str = "web") -> Doc:
        found = self.registry.cache.get(kinds.POD, "shop", name)
        return {} if found is None else found.get("status") or {}

    def runs(self, name: str) -> bool:
        return self.status(name).get("phase") == "Running"

    def ended(self, name: str = "web") -> Doc:
        state = self.status(name)["containerStatuses"][0]["state"]
        ended: Doc = state["terminated"]
        return ended

    async def logs(self, container: str = "main", name: str = "web", **options: object) -> str:
        pieces = self.kubelet.logs("shop", name, container, LogOptions(**options))  # type: ignore[arg-type]
        return b"".join([piece async for piece in pieces]).decode()


N = TypeVar("N", bound=Node)


async def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    clock, deadline = SystemClock(), time.perf_counter() + seconds
    while not true():
        assert time.perf_counter() < deadline, "it never came to be"
        await clock.sleep(0.002)


@pytest.fixture
async def node(tmp_path: Path, images: ImageStore, netns: str) -> AsyncIterator[Node]:
    group = f"/longshore-kubelet-test-{os.getpid()}"
    try:
        async with serving(Node, tmp_path, images, netns, group) as made:
            yield made
    finally:
        # Whatever went wrong: no container and no mount outlives its test.
        await asyncio.to_thread(destroy_all, tmp_path / "oci", group)
        left = [point for point in mount_points() if point.startswith(str(tmp_path))]
        unmount_below(tmp_path)
    assert not [point for point in left if "/volumes/" not in point], "a mount was left behind"


@asynccontextmanager
async def serving(
    sort: type[N], root: Path, images: ImageStore, netns: str, group: str
) -> AsyncIterator[N]:
    async with asyncio.TaskGroup() as crew:
        made = sort(root, images, netns, group, crew)
        await made.registry.open()
        running = crew.create_task(made.registry.run())
        for name in ("shop", "kube-node-lease"):
            if made.registry.cache.get(kinds.NAMESPACE, "", name) is None:
                await made.client.write(Create(kinds.NAMESPACE, {"metadata": {"name": name}}))
        made.start()
        yield made
        await made.stop()
        running.cancel()
    await made.registry.close()


def shell(script: str, **more: Any) -> Doc:
    return container(image=IMAGE, command=["/bin/sh", "-c", script], **more)


async def test_a_job_like_pod_writes_its_log_and_its_last_words(node: Node) -> None:
    script = 'echo "hello from $(hostname)"; echo bye >/dev/termination-log; exit 3'
    await node.run_pod(pod(shell(script), restartPolicy="Never"))
    await until(lambda: node.status().get("phase") == "Failed")
    ended = node.ended()
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "bye\n")
    assert await node.logs() == "hello from web\n"
    with pytest.raises(BadRequest, match='previous terminated container "main" in pod "web" not'):
        await node.logs(previous=True)


async def test_a_host_name_with_its_domain(node: Node) -> None:
    full: Doc = {"subdomain": "db", "setHostnameAsFQDN": True, "restartPolicy": "Never"}
    await node.run_pod(pod(shell("hostname; cat /etc/hostname"), **full))
    await until(lambda: node.status().get("phase") == "Succeeded")
    assert (await node.logs()).splitlines() == ["web.db.shop.svc.cluster.local"] * 2


async def test_volumes_are_real(node: Node) -> None:
    password = base64.b64encode(b"hunter2").decode()
    secret = {"metadata": {"name": "key", "namespace": "shop"}, "data": {"password": password}}
    await node.client.write(Create(kinds.SECRET, secret))
    settings = {"metadata": {"name": "app", "namespace": "shop"}, "data": {"a.ini": "x", "b": "y"}}
    await node.client.write(Create(kinds.CONFIG_MAP, settings))
    mounts = [
        {"name": "key", "mountPath": "/key", "readOnly": True},
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "app", "mountPath": "/etc/one.ini", "subPath": "a.ini"},
        {"name": "disk", "mountPath": "/disk", "subPath": "deep/er"},
    ]
    volumes = [
        {"name": "key", "secret": {"secretName": "key"}},
        {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "app", "configMap": {"name": "app"}},
        {"name": "disk", "emptyDir": {}},
    ]
    script = """cat /key/password; echo; grep -c ' /scratch tmpfs' /proc/mounts; cat /etc/one.ini; echo
        echo kept >/disk/file && cat /disk/file; (echo no >/key/x) 2>/dev/null || echo read-only; cat /etc/hostname
        grep -c web /etc/hosts; grep ndots /etc/resolv.conf || echo no-dns"""
    await node.run_pod(
        pod(shell(script, volumeMounts=mounts), volumes=volumes, restartPolicy="Never")
    )
    await until(lambda: node.status().get("phase") in ("Succeeded", "Failed"))
    lines = (await node.logs()).splitlines()
    assert lines[:3] == ["hunter2", "1", "x"]
    assert lines[3] == "kept"
    assert lines[-4:] == ["read-only", "web", "1", "no-dns"], lines
    # An ended pod gives its volumes back: nothing of the Secret stays on the machine.
    await until(lambda: not list(node.root.glob("agent/pods/*/volumes")))


async def bound_volume(node: Node, name: str, **source: Doc) -> None:
    """A volume and a claim of that name, bound to each other as the binder leaves them."""
    spec: Doc = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    done = {"pv.kubernetes.io/bind-completed": "yes"}
    claim = await node.client.write(Create(kinds.PVC, {
        "metadata": {"name": name, "namespace": "shop", "annotations": done},
        "spec": {**spec, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}},
    }))  # fmt: skip
    reference = {field: claim["metadata"][field] for field in ("namespace", "name", "uid")}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "kubernetes.io/os", "operator": "Exists"}]}]}}  # fmt: skip
    await node.client.write(Create(kinds.PV, {
        "metadata": {"name": name},
        "spec": {**spec, **source, "capacity": {"storage": "1Gi"}, "claimRef": reference,
                 "nodeAffinity": affinity}}))  # fmt: skip


async def test_what_a_claim_keeps_outlives_its_pods(node: Node) -> None:
    (node.root / "disk").mkdir()
    (node.root / "disk" / "old").write_text("kept\n")
    await bound_volume(node, "data", local={"path": str(node.root / "disk")})
    await bound_volume(node, "look", hostPath={"path": str(node.root / "disk")})
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
               {"name": "look", "persistentVolumeClaim": {"claimName": "look", "readOnly": True}}]  # fmt: skip
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("data", "look")]
    main = shell("cat /data/old; echo new >/data/new; cat /look/new; "
                 "(echo x >/look/x) 2>/dev/null || echo refused",
                 volumeMounts=mounts)  # fmt: skip
    await node.run_pod(pod(main, volumes=volumes, restartPolicy="Never"))
    await until(lambda: node.status().get("phase") == "Succeeded")
    assert (await node.logs()).splitlines() == ["kept", "new", "refused"]
    await node.client.write(Delete(kinds.POD, "shop", "web", DeleteOptions()))
    await until(lambda: not node.status())
    assert (node.root / "disk" / "new").read_text() == "new\n"


async def test_a_pod_in_the_nodes_own_network(node: Node) -> None:
    main = shell("ls -l /proc/self/ns/net")
    await node.run_pod(pod(main, hostNetwork=True, restartPolicy="Never"))
    await until(lambda: node.status().get("phase") == "Succeeded")
    assert (await node.logs()).strip().endswith(os.readlink("/proc/self/ns/net"))


async def test_commands_probe_and_precede_the_end(node: Node) -> None:
    probe = {"exec": {"command": ["/bin/sh", "-c", "[ -e /tmp/up ]"]}, "periodSeconds": 1}
    hook = {"preStop": {"exec": {"command": ["/bin/sh", "-c", "echo bye >/host/last"]}}}
    volume = {
        "name": "host",
        "hostPath": {"path": str(node.root / "host"), "type": "DirectoryOrCreate"},
    }
    main = shell("sleep 0.3; mkdir /tmp; echo >/tmp/up; sleep 100", readinessProbe=probe,
                 lifecycle=hook, volumeMounts=[{"name": "host", "mountPath": "/host"}])  # fmt: skip
    await node.run_pod(pod(main, volumes=[volume], terminationGracePeriodSeconds=1))
    await until(lambda: node.runs("web"))
    assert not node.status()["containerStatuses"][0]["ready"]
    await until(lambda: node.status()["containerStatuses"][0]["ready"])
    await node.client.write(Delete(kinds.POD, "shop", "web", DeleteOptions()))
    await until(lambda: not node.status())
    assert (node.root / "host" / "last").read_text() == "bye\n"


async def test_a_crash_restarts_and_a_new_agent_adopts(node: Node) -> None:
    main = shell("sleep 0.1; echo once; [ -e /disk/again ] && exec sleep 1000; echo >/disk/again",
                 volumeMounts=[{"name": "disk", "mountPath": "/disk"}])  # fmt: skip
    await node.run_pod(pod(main, volumes=[{"name": "disk", "emptyDir": {}}]))

    def restarted() -> bool:
        [status] = node.status().get("containerStatuses") or [{"restartCount": 0, "state": {}}]
        return status["restartCount"] == 1 and "running" in status["state"]

    await until(restarted)
    before = node.status()["containerStatuses"][0]["containerID"]
    assert await node.logs(previous=True) == "once\n"
    await node.stop()
    node.start()
    await until(lambda: not node.task.done() and node.kubelet._workers)
    await SystemClock().sleep(0.2)
    assert node.status()["containerStatuses"][0]["containerID"] == before
    assert restarted()
    await node.client.write(Delete(kinds.POD, "shop", "web", DeleteOptions(grace_s=0)))
    await until(lambda: not list((node.root / "agent" / "pods").iterdir()))


def quotas(group: str, container_id: str) -> set[int]:
    """Thousandths of a core that the kernel lets a container have, by either version of control groups."""
    groups, below = Path("/sys/fs/cgroup"), f"{group.strip('/')}/**/*{container_id}*"
    first = groups.glob(f"*/{below}/cpu.cfs_quota_us")
    second = groups.glob(f"{below}/cpu.max")
    return {int(path.read_text().split()[0]) // 100 for path in (*first, *second)}


async def test_limits_change_as_a_container_runs(node: Node) -> None:
    def limits(cpu: str) -> Doc:
        return {
            "requests": {"cpu": cpu, "memory": "64Mi"},
            "limits": {"cpu": cpu, "memory": "64Mi"},
        }

    await node.run_pod(pod(shell("sleep 100", resources=limits("200m"))))
    await until(lambda: node.runs("web"))
    container_id = node.status()["containerStatuses"][0]["containerID"].rpartition("/")[2]
    assert quotas(node.group, container_id) == {200}
    found = node.registry.cache.get(kinds.POD, "shop", "web")
    assert found is not None
    changed = [{**found["spec"]["containers"][0], "resources": limits("400m")}]
    patch = {"spec": {"containers": changed}}
    await node.client.write(Patch(kinds.POD, "shop", "web", patch, "resize"))
    told = {"limits": limits("400m")["limits"], "requests": limits("400m")["requests"]}
    await until(lambda: node.status()["containerStatuses"][0]["resources"] == told)
    assert quotas(node.group, container_id) == {400}
    assert node.status()["containerStatuses"][0]["restartCount"] == 0


async def test_from_binding_to_running(node: Node) -> None:
    """Not a benchmark: it says that nothing waits that need not. A machine that has other things to do now and
    then does not have them every time."""
    await node.run_pod(pod(shell("sleep 100"), name="warm"))
    await until(lambda: node.status("warm").get("phase") == "Running")
    took: list[float] = []
    while min(took, default=1.0) >= 1.0:
        assert len(took) < 30, took
        number = len(took)
        began = time.perf_counter()
        await node.run_pod(pod(shell("exec sleep 100"), name=f"p{number}"))
        await until(partial(node.runs, f"p{number}"))
        took.append(time.perf_counter() - began)
    print(f"create to Running: {[round(t * 1000) for t in took]} ms")
