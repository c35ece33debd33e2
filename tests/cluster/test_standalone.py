"""`longshore server`: processes of their own on one etcd, asked over HTTPS as kubectl does."""

from __future__ import annotations

import http.client
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from longshore.base.clock import SystemClock
from longshore.cluster.config import ClusterPaths, StoreConfig
from longshore.core.pki.authority import Authority
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context
from tests.core.store import etcds
from tests.core.store.etcds import needs_etcd
from tests.ports import free_port

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
COMMAND = [sys.executable, "-c", "from longshore.cli.main import main; main()", "server"]


class Running:
    """A server, once it says that it is ready."""

    def __init__(self, root: Path, port: int, *options: str) -> None:
        self.paths, self.port = ClusterPaths(root, "default"), port
        command = [*COMMAND, "--root", str(root), "--port", str(port), *options]
        root.mkdir(exist_ok=True)
        with (root / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        said = [self.process.stdout.readline(), self.process.stdout.readline()]
        if said != [b"serving\n", b"ready\n"]:
            self.kill()
            raise AssertionError((root / "log").read_text())

    def connection(self) -> http.client.HTTPSConnection:
        pki = self.paths.pki
        context = client_context(Pair.named(pki, "admin"), pki / "ca.crt")
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=120)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = self.connection()
        content = None if body is None else orjson.dumps(body)
        connection.request(method, path, content, {"content-type": "application/json"})
        answer = connection.getresponse()
        found = answer.read()
        connection.close()
        return answer.status, orjson.loads(found) if found.startswith(b"{") else found

    def until_placed(self, pod: str) -> str:
        """The node that a pod gets."""
        connection = self.connection()
        connection.request("GET", f"{PODS}?watch=1&fieldSelector=metadata.name={pod}")
        answer = connection.getresponse()
        for line in iter(answer.readline, b""):
            node = orjson.loads(line)["object"]["spec"].get("nodeName")
            if node:
                connection.close()
                return str(node)
        raise AssertionError(f"the watch of {pod} ended")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def running(root: Path, *options: str) -> Iterator[Running]:
    server = Running(root, free_port(), *options)
    try:
        yield server
    finally:
        server.kill()


def config_map(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more}, "data": {"key": "value"}}


def copied(source: ClusterPaths, root: Path) -> None:
    """What servers of one cluster share."""
    home = ClusterPaths(root, "default").home
    home.mkdir(parents=True)
    shutil.copytree(source.pki, home / "pki")
    shutil.copy(source.encryption, home)


def test_two_servers_are_one_cluster(tmp_path: Path, own_etcd: StoreConfig) -> None:
    store = ("--store", own_etcd.address)
    with ExitStack() as stack:
        a = stack.enter_context(running(tmp_path / "a", *store, "--server-name", "a"))
        refused = subprocess.run(
            [*COMMAND, "--root", str(tmp_path / "b"), *store], capture_output=True, text=True
        )
        assert refused.returncode == 2
        assert "of a cluster: copy pki/ and encryption.yaml from the directory" in refused.stderr
        copied(a.paths, tmp_path / "b")
        own = ("--server-name", "b", "--address", "127.0.0.2")
        b = stack.enter_context(running(tmp_path / "b", *store, *own))
        there = client_context(Pair.named(b.paths.pki, "admin"), a.paths.pki / "ca.crt")
        elsewhere = http.client.HTTPSConnection("127.0.0.2", b.port, context=there, timeout=30)
        elsewhere.request("GET", "/version")
        assert elsewhere.getresponse().status == 200
        elsewhere.close()

        watching = b.connection()
        watching.request(
            "GET", f"{MAPS}?watch=true&resourceVersion=0&fieldSelector=metadata.name=one"
        )
        events = watching.getresponse()
        status, made = a.ask("POST", MAPS, config_map("one"))
        assert status == 201
        event = orjson.loads(events.readline())
        assert (event["type"], event["object"]["metadata"]["uid"]) == (
            "ADDED",
            made["metadata"]["uid"],
        )
        watching.close()

        assert b.ask("GET", f"{MAPS}/one") == (200, made)
        status, changed = b.ask("PUT", f"{MAPS}/one", {**made, "data": {"key": "new"}})
        assert status == 200
        status, told = a.ask("PUT", f"{MAPS}/one", {**made, "data": {"key": "late"}})
        assert (status, told["reason"]) == (409, "Conflict")
        assert a.ask("GET", f"{MAPS}/one") == (200, changed)
        assert b.ask("POST", MAPS, config_map("one"))[0] == 409
        assert a.ask("GET", "/readyz/etcd")[0] == 200

        assert a.end() == 0
        assert b.ask("POST", MAPS, config_map("two"))[0] == 201
        with running(tmp_path / "a") as again:  # the store is as before
            status, found = again.ask("GET", MAPS)
            names = {item["metadata"]["name"] for item in found["items"]}
            assert (status, names) == (200, {"kube-root-ca.crt", "one", "two"})


@needs_etcd
def test_it_shows_etcd_a_certificate_and_wants_one(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    authority = Authority(tmp_path / "pki", SystemClock())
    server = authority.server("etcd", ["127.0.0.1"])
    client = authority.client("writer", "longshore", [])
    ca = str(tmp_path / "pki" / "ca.crt")
    told = ["--cert-file", str(server.certificate), "--key-file", str(server.key)]
    told += ["--client-cert-auth", "--trusted-ca-file", ca]
    with etcds.running(tmp_path, 1, told, "https") as cluster:
        options = ["--store", f"etcd://{cluster.endpoints[0]}", "--store-ca", ca]
        options += ["--store-cert", str(client.certificate), "--store-key", str(client.key)]
        with running(tmp_path / "a", *options) as one:
            assert one.ask("POST", MAPS, config_map("one"))[0] == 201
            assert one.ask("GET", f"{MAPS}/one")[0] == 200


def test_alone_it_keeps_its_objects_in_a_file(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.ask("POST", MAPS, config_map("one"))[0] == 201
        second = subprocess.run([*COMMAND, "--root", str(tmp_path)], capture_output=True, text=True)
        assert (second.returncode, "is running: longshore stop" in second.stderr) == (2, True)
        assert server.end() == 0
    with running(tmp_path) as server:
        assert server.ask("GET", f"{MAPS}/one")[0] == 200
    assert server.paths.store.exists()


PACKING = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: packing
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated}}
"""


def test_its_scheduler_has_the_profiles_that_it_was_given(tmp_path: Path) -> None:
    config = tmp_path / "packing.yaml"
    config.write_text(PACKING)
    with running(tmp_path / "a", "--scheduler-config", str(config)) as server:
        for name in ("small", "large"):
            capacity = {"cpu": "1" if name == "small" else "9", "memory": "1Gi", "pods": "9"}
            node = {"metadata": {"name": name}, "status": {"allocatable": capacity}}
            assert server.ask("POST", "/api/v1/nodes", node)[0] == 201
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "500m"}}}
        tolerations = [{"operator": "Exists"}]
        for scheduler in ("packing", "default-scheduler"):
            spec = {
                "containers": [container],
                "schedulerName": scheduler,
                "tolerations": tolerations,
            }
            pod = {"metadata": {"name": scheduler}, "spec": spec}
            assert server.ask("POST", PODS, pod)[0] == 201
        assert server.until_placed("packing") == "small"
        assert "nodeName" not in server.ask("GET", f"{PODS}/default-scheduler")[1]["spec"]
    assert server.paths.scheduler.read_text() == PACKING


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--store", "http://a"], "want etcd://HOST[:PORT]"),
        (["--store-ca", "/x"], "go with --store etcd://"),
        (["--store", "etcd://127.0.0.1:1", "--store-ca", "/x"], "go together"),
        (["--address", "here"], "want an IP address"),
        (
            ["--scheduler-config", "/dev/null"],
            "/dev/null: KubeSchedulerConfiguration: Invalid value",
        ),
    ],
)
def test_options_are_checked(tmp_path: Path, options: list[str], why: str) -> None:
    done = subprocess.run(
        [*COMMAND, "--root", str(tmp_path), *options], capture_output=True, text=True
    )
    assert (done.returncode, why in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "default").exists()
