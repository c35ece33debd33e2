"""What `make demo` shows: a three-node cluster running a web application, timed as it comes up."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from longshore.base.clock import SystemClock
from standins import build

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.blackbox.driver import kubectl_program  # noqa: E402 - the checkout is no package

LONGSHORE = str(Path(sys.executable).with_name("longshore"))
CLUSTER = "default"
NODES = 3
PATIENCE_S = 60.0
CLOCK = SystemClock()


def main() -> None:
    refuse_a_second_cluster()
    print(
        "building the stand-in images nginx:1.17.9 and dockchat/frontend:1.0 from Debian packages"
    )
    images = build(ROOT / ".cache" / "images")
    print(f"longshore up --nodes {NODES} --uplink none")
    started = CLOCK.monotonic()
    run(LONGSHORE, "up", "--nodes", str(NODES), "--uplink", "none", shown=True)
    ready_s = CLOCK.monotonic() - started
    for image in images:
        run(LONGSHORE, "image", "load", str(image), shown=True)
    print("kubectl apply -f examples/")
    started = CLOCK.monotonic()
    kubectl("apply", "-f", str(ROOT / "examples"))
    wait_for(lambda: replicas("nginx-deployment") >= NODES, "nginx to run")
    running_s = CLOCK.monotonic() - started
    url = wait_for(lambda: address("nginx"), "an address of the nginx Service")
    status, title = wait_for(lambda: fetched(url), f"an answer from {url}")
    nodes = sum(is_ready(node) for node in get("nodes")["items"])
    print(
        f"\nnodes {nodes}/{NODES} Ready in {ready_s:.1f} s · "
        f"nginx {replicas('nginx-deployment')}/{NODES} Running in {running_s:.1f} s · "
        f"{url} -> {status} ({title}) · kubectl: context {context()}"
    )
    print("the cluster is up; `.venv/bin/longshore down` removes it")


def refuse_a_second_cluster() -> None:
    listed = json.loads(run(LONGSHORE, "list", "--json"))
    if any(cluster["name"] == CLUSTER for cluster in listed["clusters"]):
        stop(f"a cluster called {CLUSTER!r} is there already: .venv/bin/longshore down, then again")


def run(*command: str, shown: bool = False) -> str:
    """Run a command; what it printed. Ends the demo with its words if it fails."""
    done = subprocess.run(
        command, stdout=None if shown else subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        stop(done.stderr.strip(), done.returncode)
    return done.stdout or ""


def stop(why: str, code: int = 2) -> None:
    print(why, file=sys.stderr)
    raise SystemExit(code)


def kubectl(*words: str) -> str:
    return run(kubectl_program(), "--context", f"longshore-{CLUSTER}", *words)


def get(*words: str) -> Any:
    return json.loads(kubectl("get", *words, "-o", "json"))


def replicas(deployment: str) -> int:
    return int(get("deployment", deployment)["status"].get("readyReplicas", 0))


def is_ready(node: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])


def address(service: str) -> str:
    """Where the machine reaches a Service of type LoadBalancer; empty until it is known."""
    for ingress in get("service", service)["status"].get("loadBalancer", {}).get("ingress", []):
        for port in ingress.get("ports", []):
            return f"http://{ingress['ip']}:{port['port']}"
    return ""


def fetched(url: str) -> tuple[int, str] | None:
    """The answer's status and its page's title; None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            page = answer.read().decode()
            return answer.status, page.partition("<title>")[2].partition("</title>")[0]
    except (urllib.error.URLError, OSError):
        return None


def context() -> str:
    return run(kubectl_program(), "config", "current-context").strip()


def wait_for(look: Any, what: str) -> Any:
    deadline = CLOCK.monotonic() + PATIENCE_S
    while not (seen := look()):
        if CLOCK.monotonic() > deadline:
            stop(f"waited {PATIENCE_S:g} s for {what}: longshore's logs may say why", 1)
    return seen


if __name__ == "__main__":
    main()
