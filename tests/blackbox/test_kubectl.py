"""A three-node cluster of real containers, driven by an unmodified kubectl."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from longshore.cluster.config import ClusterPaths

from .driver import EXAMPLES, Cluster, eventually

pytestmark = [pytest.mark.root, pytest.mark.slow]

NGINX = "app=nginx"


@pytest.fixture(scope="module")
def nginx(cluster: Cluster) -> Cluster:
    """The examples, applied and running."""
    cluster.kubectl("apply", "-f", str(EXAMPLES))
    cluster.kubectl("rollout", "status", "deployment/nginx-deployment", "--timeout=120s")
    cluster.kubectl("rollout", "status", "deployment/dockchat-frontend", "--timeout=120s")
    return cluster


def test_nodes_are_ready_and_tell_what_they_are(cluster: Cluster) -> None:
    shown = cluster.kubectl("get", "nodes", "-o", "wide").splitlines()
    assert shown[0].split()[:6] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP"]
    assert [line.split()[:2] for line in shown[1:]] == [[f"node-{n}", "Ready"] for n in (1, 2, 3)]
    described = cluster.kubectl("describe", "node", "node-1")
    assert "longshore://" in described
    assert "Allocatable:" in described


def test_replicas_are_spread_over_the_nodes(nginx: Cluster) -> None:
    wide = nginx.kubectl("get", "pods", "-l", NGINX, "-o", "wide").splitlines()[1:]
    assert [line.split()[2] for line in wide] == ["Running"] * 3
    assert len({pod["spec"]["nodeName"] for pod in nginx.pods(NGINX)}) == 3
    addresses = {pod["status"]["podIP"] for pod in nginx.pods(NGINX)}
    assert len(addresses) == 3
    assert all(address.startswith("10.42.") for address in addresses)


def test_describe_tells_the_story_of_a_pod(nginx: Cluster) -> None:
    told = nginx.kubectl("describe", "pod", "-l", NGINX)
    for word in ("Scheduled", "Pulled", "Created", "Started", "Successfully assigned default/"):
        assert word in told


async def test_the_service_answers_on_the_machines_own_loopback(nginx: Cluster) -> None:
    def ingress() -> list[dict[str, Any]]:
        status: dict[str, Any] = nginx.get("service", "nginx")["status"]
        found: list[dict[str, Any]] = status.get("loadBalancer", {}).get("ingress", [])
        return found

    (entry,) = await eventually(ingress, "an address of the LoadBalancer Service")
    assert entry["ip"] == "127.0.0.1"
    with urllib.request.urlopen(
        f"http://127.0.0.1:{entry['ports'][0]['port']}", timeout=10
    ) as answer:
        assert answer.status == 200
        assert "Welcome to nginx!" in answer.read().decode()


async def test_logs_show_what_a_container_said(nginx: Cluster) -> None:
    port = nginx.get("service", "nginx")["spec"]["ports"][0]["nodePort"]
    nginx.in_lan("wget", "-q", "-O", "-", f"http://10.90.0.11:{port}/")
    logged = await eventually(
        lambda: nginx.kubectl("logs", "-l", NGINX, "--tail=-1"), "an access log"
    )
    assert '"GET / HTTP/1.1" 200' in logged
    refused = nginx.kubectl("logs", "no-such-pod", code=1)
    assert 'pods "no-such-pod" not found' in refused


def test_a_node_port_answers_on_every_node(nginx: Cluster) -> None:
    port = nginx.get("service", "nginx")["spec"]["ports"][0]["nodePort"]
    for number in (1, 2, 3):
        page = nginx.in_lan("wget", "-q", "-O", "-", f"http://10.90.0.{10 + number}:{port}/")
        assert "Welcome to nginx!" in page.stdout, page.stderr


def client_pod(name: str, script: str) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", script]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"run": name}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }


async def said_by(cluster: Cluster, name: str, script: str) -> str:
    """What a script printed that ran in a pod of its own."""
    cluster.apply(client_pod(name, script))

    def phase() -> str:
        found: str = cluster.get("pod", name)["status"].get("phase", "")
        return found if found in ("Succeeded", "Failed") else ""

    ended = await eventually(phase, f"pod {name} to end")
    said = cluster.kubectl("logs", name)
    assert ended == "Succeeded", said
    cluster.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    return said


async def test_a_service_has_a_name_within_a_pod(nginx: Cluster) -> None:
    script = (
        "wget -q -O - http://nginx:8080/ | grep title; "
        "wget -q -O - http://frontend.default.svc.cluster.local:9500/ | grep title; "
        "nslookup kubernetes.default.svc.cluster.local"
    )
    said = await said_by(nginx, "asker", script)
    assert "Welcome to nginx!" in said
    assert "dockchat" in said
    assert "10.96.0.1" in said


async def test_pods_reach_one_another_across_nodes(nginx: Cluster) -> None:
    targets = [pod["status"]["podIP"] for pod in nginx.pods(NGINX)]
    script = " && ".join(f"wget -q -O - http://{address}/ | grep -c Welcome" for address in targets)
    assert (await said_by(nginx, "walker", script)).split() == ["2"] * len(targets)


PAIR_CLIENT = """
until wget -q -O - http://127.0.0.1:8000/word 2>/dev/null; do sleep 0.1; done
cat /shared/word /conf/color; echo; id -u
cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max
exit 3
"""


def paired_pod() -> dict[str, Any]:
    """An init container and two others that share a volume and 127.0.0.1."""
    pod = client_pod("pair", PAIR_CLIENT)
    shared = {"name": "s", "mountPath": "/shared"}
    pod["spec"]["volumes"] = [
        {"name": "s", "emptyDir": {}},
        {"name": "conf", "configMap": {"name": "paint"}},
    ]
    (client,) = pod["spec"]["containers"]
    client["volumeMounts"] = [shared, {"name": "conf", "mountPath": "/conf"}]
    client["securityContext"] = {"runAsUser": 1234}
    client["resources"] = {"limits": {"memory": "64Mi", "cpu": "500m"}}
    serve = "echo hello > /shared/word; exec httpd -f -p 127.0.0.1:8000 -h /shared"
    helper = {"image": "busybox:1.36", "volumeMounts": [shared]}
    first = {"name": "first", "command": ["sh", "-c", "test ! -e /shared/word"], **helper}
    server = {"name": "server", "command": ["sh", "-c", serve], **helper}
    pod["spec"]["initContainers"] = [first]
    pod["spec"]["containers"].append(server)
    return pod


async def test_containers_of_a_pod_share_network_and_volumes(cluster: Cluster) -> None:
    paint = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "paint"}}
    cluster.apply({**paint, "data": {"color": "green"}})
    cluster.apply(paired_pod())

    def ended() -> Any:
        statuses = cluster.get("pod", "pair")["status"].get("containerStatuses", [])
        return next(
            (s["state"]["terminated"] for s in statuses if "terminated" in s["state"]), None
        )

    terminated = await eventually(ended, "the client to end")
    said = cluster.kubectl("logs", "pair", "-c", "c").split()
    assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")
    assert said == ["hello", "hello", "green", "1234", str(64 * 2**20)]
    cluster.kubectl("delete", "pod", "pair", "--grace-period=1")


async def test_scale_roll_out_and_undo(nginx: Cluster) -> None:
    nginx.kubectl("scale", "deployment/nginx-deployment", "--replicas=5")
    await eventually(lambda: len(nginx.running(NGINX)) == 5, "five replicas")
    nginx.kubectl("set", "env", "deployment/nginx-deployment", "GENERATION=two")
    assert "successfully rolled out" in nginx.kubectl(
        "rollout", "status", "deployment/nginx-deployment", "--timeout=120s"
    )
    history = nginx.kubectl("rollout", "history", "deployment/nginx-deployment")
    assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["1", "2"]
    nginx.kubectl("rollout", "undo", "deployment/nginx-deployment")
    nginx.kubectl("rollout", "status", "deployment/nginx-deployment", "--timeout=120s")
    template = nginx.get("deployment", "nginx-deployment")["spec"]["template"]
    assert "env" not in template["spec"]["containers"][0]
    nginx.kubectl("scale", "deployment/nginx-deployment", "--replicas=3")
    await eventually(lambda: len(nginx.pods(NGINX)) == 3, "three replicas and no more")


async def test_a_killed_container_starts_again(nginx: Cluster) -> None:
    pod = nginx.running(NGINX)[0]
    os.kill(process_of(nginx, pod), signal.SIGKILL)

    def restarted() -> Any:
        status = nginx.get("pod", pod["metadata"]["name"])["status"]["containerStatuses"][0]
        return status if status["restartCount"] == 1 and status["ready"] else None

    status = await eventually(restarted, "the container to run again")
    assert status["lastState"]["terminated"]["exitCode"] == 137


def process_of(cluster: Cluster, pod: dict[str, Any]) -> int:
    """The first process of a pod, found by its control group."""
    parent = ClusterPaths(cluster.root, cluster.name).cgroup_parent
    uid = pod["metadata"]["uid"]
    for group in Path("/sys/fs/cgroup/pids", parent).rglob(f"*{uid}*"):
        pids = [
            int(line) for file in group.rglob("cgroup.procs") for line in file.read_text().split()
        ]
        if pids:
            return min(pids)
    raise AssertionError(f"no process of pod {uid} below {parent}")


async def test_a_deployment_without_selector_is_told_what_to_write(cluster: Cluster) -> None:
    container = {"name": "c", "image": "nginx:1.17.9"}
    template = {"metadata": {"labels": {"app": "nginx"}}, "spec": {"containers": [container]}}
    manifest = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
        "spec": {"template": template},
    }  # fmt: skip
    refused = cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest), code=1)
    assert "spec.selector" in refused
    assert '"app": "nginx"' in refused or '"app":"nginx"' in refused


async def test_deleting_ends_everything(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", "short-lived")
    cluster.kubectl("-n", "short-lived", "create", "configmap", "c", "--from-literal=a=b")
    pod = client_pod("p", "trap 'exit 0' TERM; while true; do sleep 0.1; done")
    cluster.kubectl("-n", "short-lived", "apply", "-f", "-", stdin=json.dumps(pod))
    await eventually(lambda: cluster.pods("run=p", "short-lived"), "a pod in the namespace")
    cluster.kubectl("delete", "namespace", "short-lived", "--timeout=120s")
    assert "NotFound" in cluster.kubectl("get", "namespace", "short-lived", code=1)
