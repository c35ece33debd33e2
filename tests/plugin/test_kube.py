"""The fixture kube, used as its users do."""

from __future__ import annotations

import os
import stat
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import orjson
import pytest

from longshore.core.objects import kinds
from longshore.testing.kube import Kube

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: nginx}]
"""


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def test_a_deployment_becomes_available(kube: Kube) -> None:
    kube.apply(WEB)
    web = kube.wait("deploy/web", "Available", timeout="5s")
    assert web.spec.replicas == web["status"]["readyReplicas"] == 2
    pods = kube.list("pods", labels="app=web")
    assert [pod.status.phase for pod in pods] == ["Running", "Running"]
    assert {pod.spec.nodeName for pod in pods} == {"node-1"}


def test_each_test_has_a_cluster_of_its_own(kube: Kube) -> None:
    assert kube.list("deployments") == kube.list("pods", namespace="*") == []
    assert [node.metadata.name for node in kube.list("nodes")] == ["node-1"]


def test_files_directories_and_dictionaries_are_applied(kube: Kube, tmp_path: Path) -> None:
    inside = tmp_path / "manifests" / "deeper"
    inside.mkdir(parents=True)
    (inside / "a.yaml").write_text(
        "---\n" + str(config_map("a")) + "\n---\n" + str(config_map("b"))
    )
    (tmp_path / "c.json").write_bytes(orjson.dumps(config_map("c")))
    listed = {"apiVersion": "v1", "kind": "List", "items": [config_map("e"), config_map("f")]}
    kube.apply(tmp_path / "manifests", tmp_path / "c.json", config_map("d"), listed)
    names = {one.metadata.name for one in kube.list("configmaps")}
    assert names >= {"a", "b", "c", "d", "e", "f"}


def test_namespaces_come_first_and_pods_may_follow_at_once(kube: Kube) -> None:
    kube.apply(WEB, namespace("shop"), namespace="shop")
    kube.wait("deploy/web", "Available", namespace="shop")
    kube.delete("ns/shop")
    assert kube.gone("ns/shop")
    assert kube.list("pods", namespace="*") == []


def test_what_is_wrong_is_refused_with_its_field(kube: Kube) -> None:
    with pytest.raises(kube.Refused, match=r"spec\.replicas: Invalid value: -1") as refused:
        kube.apply(WEB.replace("replicas: 2", "replicas: -1"))
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    with pytest.raises(kube.Refused, match=r'deployments\.apps "web" not found'):
        kube.get("deploy/web")
    with pytest.raises(ValueError, match='no matches for kind "Webb" in version "v1"'):
        kube.apply({"apiVersion": "v1", "kind": "Webb", "metadata": {"name": "web"}})
    with pytest.raises(ValueError, match='resource type "deplomyent"'):
        kube.get("deplomyent/web")


def test_time_jumps_when_it_is_told_to(kube: Kube) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "job", "annotations": {"longshore.io/hollow-exit": "0 after 3600"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
    }
    kube.apply(pod)
    kube.wait("pod/job", "status.phase=Running")
    before = kube.clock.now()
    kube.clock.advance("59m")
    assert kube.get("pod/job").status.phase == "Running"
    kube.wait("pod/job", "status.phase=Succeeded", timeout="2m")
    assert 3540 <= kube.clock.now() - before < 3720


def test_a_wait_in_vain_says_what_is_there(kube: Kube) -> None:
    kube.apply(
        WEB.replace(
            "{name: web, image: nginx}",
            "{name: web, image: nginx, resources: {requests: {cpu: '99'}}}",
        )
    )
    with pytest.raises(kube.Unmet) as unmet:
        kube.wait("deploy/web", "Available", timeout="5m")
    message = str(unmet.value)
    assert message.startswith(
        "deployments.apps/web in namespace default did not become Available within 300s"
    )
    assert "replicas: 2" in message and "managedFields" not in message
    assert "FailedScheduling" in message and "Insufficient cpu" in message


def test_a_snapshot_comes_back(kube: Kube) -> None:
    kube.apply(config_map("kept", a="1"), config_map("changed", a="1"))
    kept = kube.get("cm/kept")
    snapshot = kube.snapshot()
    kube.apply(config_map("changed", a="2"), config_map("new"))
    last = kube.get("cm/new")
    kube.restore(snapshot)
    assert kube.get("cm/kept") == kept
    changed = kube.get("cm/changed")
    assert changed.data == {"a": "1"}
    assert int(changed.metadata.resourceVersion) > int(last.metadata.resourceVersion)
    assert kube.gone("cm/new")
    kube.apply(WEB)
    kube.wait("deploy/web", "Available")


@pytest.mark.kube(nodes=2)
def test_nodes_come_as_ordered(kube: Kube) -> None:
    node = kube.node("big", cpu="64", labels={"disk": "ssd"})
    assert node.status.capacity.cpu == "64"
    assert node.metadata.labels["disk"] == "ssd"
    assert len({n.spec.podCIDR for n in kube.list("nodes")}) == 3
    big = WEB.replace(
        "{name: web, image: nginx}", "{name: web, image: nginx, resources: {requests: {cpu: 30}}}"
    )
    kube.apply(big)
    kube.wait("deploy/web", "Available")
    assert {pod.spec.nodeName for pod in kube.list("pods")} == {"big"}


def test_a_node_that_came_later_goes_with_a_restore(kube: Kube) -> None:
    snapshot = kube.snapshot()
    kube.node("later")
    kube.restore(snapshot)
    kube.clock.advance("1m")
    assert [node.metadata.name for node in kube.list("nodes")] == ["node-1"]
    kube.node("later")


def test_what_the_server_warns_of_is_a_warning(kube: Kube) -> None:
    migration = {
        "apiVersion": kinds.STORAGE_VERSION_MIGRATION.api_version,
        "kind": "StorageVersionMigration",
        "metadata": {"name": "all"},
        "spec": {"resource": {"group": "apps", "resource": "deployments"}},
    }
    with pytest.warns(UserWarning, match="nothing in this cluster acts on them yet"):
        kube.apply(migration)
    with pytest.raises(ValueError, match="are kept nowhere: there is nothing to wait for"):
        kube.wait("tokenreview/x")


@pytest.mark.kube(nodes=0, controllers=["replicaset"])
def test_only_some_controllers_run(kube: Kube) -> None:
    kube.apply(WEB)
    kube.clock.advance("1h")
    assert "status" not in kube.get("deploy/web") or not kube.get("deploy/web").status
    assert kube.list("replicasets") == []


@pytest.mark.kube(controllers="none")
def test_without_controllers_a_status_is_whoever_writes_it(kube: Kube) -> None:
    kube.apply(WEB)
    ready = {"status": {"conditions": [{"type": "Available", "status": "True"}]}}
    kube.patch("deploy/web", ready, subresource="status")
    kube.wait("deploy/web", "Available", timeout=0)
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    kube.apply({"apiVersion": "v1", "kind": "Pod", **pod})
    kube.clock.advance("1m")
    assert "nodeName" not in kube.get("pod/p").spec


def test_nobody_gets_in_without_the_token(kube: Kube) -> None:
    assert os.environ["KUBECONFIG"] == str(kube.kubeconfig)
    assert stat.S_IMODE(kube.kubeconfig.stat().st_mode) == 0o600
    config = orjson.loads(kube.kubeconfig.read_bytes())
    server, authority = (
        config["clusters"][0]["cluster"][k] for k in ("server", "certificate-authority-data")
    )
    assert status(server, authority, config["users"][0]["user"]["token"]) == 200
    assert status(server, authority, "") == status(server, authority, "x") == 401
    assert [asked.status for asked in kube.requests] == [200, 401, 401]


def status(server: str, authority: str, token: str) -> int:
    import base64
    import ssl

    context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
    request = urllib.request.Request(f"{server}/api/v1/pods")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
