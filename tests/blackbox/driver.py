"""The words that black-box tests use: the longshore command, kubectl, and looks at the machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longshore.base.clock import SystemClock
from longshore.cluster.config import ClusterPaths

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
EXAMPLES = ROOT / "examples"
PATIENCE_S = 120.0


def longshore(*words: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    """Run the command; its standard output. Fails the test if it ends with another code."""
    done = longshore_run(*words, env=env)
    assert done.returncode == code, (
        f"longshore {words}: {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done.stdout if code == 0 else done.stderr


def longshore_run(
    *words: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command, however it ends."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("longshore")), *words],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        timeout=180,
    )


def kubectl_program() -> str:
    """The kubectl of this machine, else Debian's, unpacked and not installed."""
    found = shutil.which("kubectl")
    if found is not None:
        return found
    program = CACHE / "kubernetes-client" / "usr" / "bin" / "kubectl"
    if not program.exists():
        downloads = CACHE / "downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        downloads.chmod(0o777)
        subprocess.run(
            ["apt-get", "-qq", "download", "kubernetes-client"], cwd=downloads, check=True
        )
        (package,) = downloads.glob("kubernetes-client_*.deb")
        subprocess.run(
            ["dpkg-deb", "-x", str(package), str(CACHE / "kubernetes-client")], check=True
        )
    return str(program)


def kubectl_versions() -> list[str]:
    """The oldest and the newest kubectl of several minors, where a machine has them (the Google
    Cloud SDK brings kubectl.1.N); else the one there is."""
    folder = Path(shutil.which("kubectl") or "/").resolve().parent
    found = sorted(folder.glob("kubectl.1.*"), key=lambda path: int(path.suffix[1:]))
    return [str(found[0]), str(found[-1])] if found else [""]


@dataclass(frozen=True)
class Cluster:
    """A running cluster of a test's own."""

    name: str
    root: Path
    server: str
    kubeconfig: str
    program: str = ""

    def longshore(self, verb: str, *words: str, code: int = 0) -> str:
        return longshore(
            *verb.split(), *words, "--name", self.name, "--root", str(self.root), code=code
        )

    def state(self) -> str:
        """What `longshore list` says of it: "running", "degraded", ..."""
        told = json.loads(longshore("list", "--json", "--root", str(self.root)))
        (state,) = [one["state"] for one in told["clusters"] if one["name"] == self.name]
        return str(state)

    def kubectl(self, *words: str, stdin: str | None = None, code: int = 0) -> str:
        """Run kubectl against the cluster; its standard output (standard error if it must fail)."""
        done = self.kubectl_run(*words, stdin=stdin)
        assert done.returncode == code, (
            f"kubectl {words}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout if code == 0 else done.stderr

    def kubectl_run(
        self, *words: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "KUBECONFIG": self.kubeconfig}
        return subprocess.run(
            [self.program or kubectl_program(), *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            timeout=180,
        )

    def in_lan(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine's busybox on the cluster's LAN, beside its nodes."""
        lan = ClusterPaths(self.root, self.name).namespaces / "lan"
        words = ["nsenter", f"--net={lan}", "busybox", *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=90)

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def pods(self, selector: str, namespace: str = "default") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("pods", "-n", namespace, "-l", selector)["items"]
        return found

    def running(self, selector: str) -> list[dict[str, Any]]:
        """Pods of that selector that run, are ready and are not on their way out."""
        return [pod for pod in self.pods(selector) if is_ready(pod)]

    def apply(self, manifest: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


@contextmanager
def within(cluster: Cluster, namespace: str) -> Iterator[Cluster]:
    """The cluster with a new namespace as kubectl's own, which goes with all that is in it."""
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("config", "set-context", "--current", f"--namespace={namespace}")
    yield cluster
    cluster.kubectl("config", "set-context", "--current", "--namespace=default")
    cluster.kubectl("delete", "namespace", namespace, "--timeout=120s")


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


async def eventually(
    look: Callable[[], Any], what: str, patience_s: float = PATIENCE_S, pause_s: float = 0.1
) -> Any:
    """Look again and again until there is something true to be seen; that. Real clusters have no
    virtual clock, so this is where black-box tests wait, and the only place."""
    clock = SystemClock()
    deadline = clock.monotonic() + patience_s
    while not (seen := look()):
        assert clock.monotonic() < deadline, f"not within {patience_s:g} s: {what}"
        await clock.sleep(pause_s)
    return seen
