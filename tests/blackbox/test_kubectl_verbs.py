"""What people type: every verb of kubectl, oldest and newest minor, against hollow nodes."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from .driver import Cluster, kubectl_versions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=kubectl_versions(), ids=lambda path: Path(path).name)
def kube(request: pytest.FixtureRequest, hollow: Cluster) -> Iterator[Cluster]:
    """The cluster as one kubectl sees it, in a namespace of that kubectl's own."""
    own = replace(hollow, program=request.param)
    name = "verbs-" + Path(request.param).name.replace(".", "-")
    own.kubectl("create", "namespace", name)
    own.kubectl("config", "set-context", "--current", f"--namespace={name}")
    yield own
    own.kubectl("config", "set-context", "--current", "--namespace=default")
    own.kubectl("delete", "namespace", name, "--timeout=120s")


@pytest.fixture(scope="module")
def web(kube: Cluster) -> Cluster:
    """A deployment that runs."""
    kube.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=2", "--port=80")
    kube.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    return kube


def config_map(name: str, **data: str) -> str:
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    )


def test_rollouts(web: Cluster) -> None:
    web.kubectl("set", "env", "deployment/web", "A=b")
    web.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    assert (
        len(web.kubectl("rollout", "history", "deployment/web").split("\n\n")[0].split("\n")) == 4
    )
    web.kubectl("rollout", "undo", "deployment/web")
    web.kubectl("rollout", "restart", "deployment/web")
    web.kubectl("rollout", "pause", "deployment/web")
    web.kubectl("rollout", "resume", "deployment/web")
    web.kubectl("wait", "deployment/web", "--for=condition=Available", "--timeout=120s")


def test_scale_expose_autoscale(web: Cluster) -> None:
    assert "scaled" in web.kubectl("scale", "deployment", "web", "--replicas=3")
    assert "exposed" in web.kubectl("expose", "deployment", "web", "--port=80")
    web.kubectl("autoscale", "deployment", "web", "--min=1", "--max=4", "--cpu-percent=50")
    shown = web.kubectl("get", "hpa").split()
    assert shown[:6] == ["NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS"]
    assert "Deployment/web" in shown
    assert "service/web" in web.kubectl("get", "all")
    assert "Selector:" in web.kubectl("describe", "service", "web")


def test_run_and_wait(kube: Cluster) -> None:
    kube.kubectl("run", "one", "--image=nginx", "--restart=Never", "--labels=app=one")
    kube.kubectl("wait", "pod/one", "--for=condition=Ready", "--timeout=120s")
    columns = "-o=custom-columns=NAME:.metadata.name,PHASE:.status.phase"
    assert kube.kubectl("get", "pod", "one", columns).split()[2:] == ["one", "Running"]
    named = kube.kubectl("get", "pods", "-l", "app=one", "-o=jsonpath={.items[*].metadata.name}")
    assert named == "one"
    kube.kubectl("delete", "pod", "one", "--timeout=120s")


def test_label_annotate_patch_edit_replace(kube: Cluster, tmp_path: Path) -> None:
    kube.kubectl("create", "configmap", "note", "--from-literal=a=1")
    kube.kubectl("label", "configmap", "note", "tier=one")
    kube.kubectl("annotate", "configmap", "note", "said=so")
    kube.kubectl("patch", "configmap", "note", "-p", '{"data":{"b":"2"}}')
    kube.kubectl("patch", "configmap", "note", "--type=json",
                 "-p", '[{"op":"add","path":"/data/c","value":"3"}]')  # fmt: skip
    edited = subprocess.run(
        [kube.program or "kubectl", "edit", "configmap", "note"], timeout=60, check=False,
        env={**os.environ, "KUBECONFIG": kube.kubeconfig, "EDITOR": "sed -i 's/c: \"3\"/c: \"4\"/'"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert edited.returncode == 0, edited.stderr
    there = kube.get("configmap", "note")
    assert there["data"] == {"a": "1", "b": "2", "c": "4"}
    assert there["metadata"]["labels"] == {"tier": "one"}
    assert there["metadata"]["annotations"] == {"said": "so"}
    kube.kubectl("replace", "-f", "-", stdin=config_map("note", a="9"))
    assert kube.get("configmap", "note")["data"] == {"a": "9"}


def test_apply_and_diff(kube: Cluster) -> None:
    assert "created" in kube.kubectl("apply", "-f", "-", stdin=config_map("applied", a="1", b="2"))
    assert "unchanged" in kube.kubectl(
        "apply", "-f", "-", stdin=config_map("applied", a="1", b="2")
    )
    changed = kube.kubectl_run("diff", "-f", "-", stdin=config_map("applied", a="7"))
    assert changed.returncode == 1, changed.stderr
    assert '+  a: "7"' in changed.stdout
    assert (
        kube.kubectl_run("diff", "-f", "-", stdin=config_map("applied", a="1", b="2")).returncode
        == 0
    )
    assert "configured" in kube.kubectl("apply", "-f", "-", stdin=config_map("applied", a="7"))
    assert kube.get("configmap", "applied")["data"] == {"a": "7"}


def test_server_side_apply(kube: Cluster) -> None:
    words = ("apply", "--server-side", "-f", "-")
    kube.kubectl(*words, stdin=config_map("owned", a="1", b="2"))
    refused = kube.kubectl(
        *words, "--field-manager=other", stdin=config_map("owned", a="2"), code=1
    )
    assert 'conflict with "kubectl"' in refused
    assert ".data.a" in refused
    kube.kubectl(
        *words, "--field-manager=other", "--force-conflicts", stdin=config_map("owned", a="2")
    )
    kube.kubectl(*words, stdin=config_map("owned", b="2"))
    assert kube.get("configmap", "owned")["data"] == {"a": "2", "b": "2"}
    managers = json.loads(
        kube.kubectl("get", "configmap", "owned", "-o", "json", "--show-managed-fields")
    )
    owners = {one["manager"] for one in managers["metadata"]["managedFields"]}
    assert owners == {"kubectl", "other"}


def test_from_client_side_apply_to_server_side(kube: Cluster) -> None:
    plain, server = ("apply", "-f", "-"), ("apply", "--server-side", "-f", "-")
    kube.kubectl(*plain, stdin=config_map("moved", a="1", b="2"))
    kube.kubectl(*server, stdin=config_map("moved", a="1", b="2"))
    kube.kubectl(*server, stdin=config_map("moved", a="3"))
    assert kube.get("configmap", "moved")["data"] == {"a": "3"}
    shown = kube.kubectl("get", "configmap", "moved", "-o", "json", "--show-managed-fields")
    entries = json.loads(shown)["metadata"]["managedFields"]
    managers = {(one["manager"], one["operation"]) for one in entries}
    # The second one owns the annotation; it is kubectl's own.
    assert managers == {("kubectl", "Apply"), ("kubectl-last-applied", "Apply")}
    # And back: the last applied configuration was kept up.
    kube.kubectl(*plain, stdin=config_map("moved", a="3", c="4"))
    assert kube.get("configmap", "moved")["data"] == {"a": "3", "c": "4"}


def test_kustomize(kube: Cluster, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        "namePrefix: k-\nconfigMapGenerator:\n- name: made\n  literals: [a=1]\n"
    )
    assert "configmap/k-made-" in kube.kubectl("apply", "-k", str(tmp_path))


def test_nodes_are_cordoned_tainted_and_drained(web: Cluster) -> None:
    web.kubectl("cordon", "node-3")
    drained = web.kubectl(
        "drain", "node-3", "--ignore-daemonsets", "--force", "--delete-emptydir-data",
        "--timeout=120s",
    )  # fmt: skip
    assert "node/node-3 drained" in drained
    web.kubectl("uncordon", "node-3")
    web.kubectl("taint", "node", "node-2", "k=v:NoSchedule")
    web.kubectl("taint", "node", "node-2", "k-")


def test_who_may_do_what(kube: Cluster) -> None:
    assert kube.kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    denied = kube.kubectl_run("auth", "can-i", "create", "pods", "--as", "bob")
    assert (denied.stdout.strip(), denied.returncode) == ("no", 1)
    assert "*.*" in kube.kubectl("auth", "can-i", "--list")
    if not kube.program.endswith(".27"):  # it asks for a version that was never stable
        assert "Username" in kube.kubectl("auth", "whoami")


def test_tokens(kube: Cluster) -> None:
    token = kube.kubectl("create", "token", "default", "--duration=20m").strip()
    assert token.count(".") == 2
    who = subprocess.run(
        [kube.program or "kubectl", "--server", kube.server, "--token", token,
         "--insecure-skip-tls-verify", "get", "pods"],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "KUBECONFIG": "/dev/null"},
    )  # fmt: skip
    assert 'User "system:serviceaccount:verbs-' in who.stderr


def test_top(web: Cluster) -> None:
    assert "node-1" in web.kubectl("top", "nodes")
    assert "web-" in web.kubectl("top", "pods")


def test_what_is_served(kube: Cluster) -> None:
    resources = kube.kubectl("api-resources", "-o", "name").split()
    for name in (
        "pods",
        "jobs.batch",
        "ingresses.networking.k8s.io",
        "roles.rbac.authorization.k8s.io",
    ):
        assert name in resources
    assert "autoscaling/v1" in kube.kubectl("api-versions").split()
    assert "is running at" in kube.kubectl("cluster-info")


def test_every_kind_explains_itself(kube: Cluster) -> None:
    silent = []
    for line in kube.kubectl("api-resources", "--no-headers").splitlines():
        resource, version = line.split()[0], line.split()[-3]
        told = kube.kubectl_run("explain", resource, f"--api-version={version}", "--recursive")
        if told.returncode or "FIELDS" not in told.stdout:
            silent.append((resource, version, told.stderr))
    assert silent == []


def test_every_kind_is_created_by_the_words_for_it(kube: Cluster) -> None:
    for words in (
        "role r --verb=get --resource=pods",
        "rolebinding rb --role=r --user=bob",
        "quota q --hard=pods=20",
        "ingress i --rule=example.com/=web:80",
        "job j --image=nginx",
        "cronjob cj --image=nginx --schedule=0 * * * *",
        "poddisruptionbudget p --selector=app=none --min-available=1",
        "serviceaccount robot",
        "secret generic s --from-literal=a=b",
    ):
        head, _, schedule = words.partition(" --schedule=")
        extra = [f"--schedule={schedule}"] if schedule else []
        assert "created" in kube.kubectl("create", *head.split(), *extra)
    for kind in ("role", "rolebinding", "quota", "ingress", "job", "cronjob", "pdb", "sa"):
        assert len(kube.kubectl("get", kind).splitlines()) >= 2
        assert "Name:" in kube.kubectl("describe", kind)


def test_a_watch_tells_of_what_comes(kube: Cluster) -> None:
    watching = subprocess.Popen(
        [kube.program or "kubectl", "get", "configmaps", "--watch-only", "-o", "name",
         "--request-timeout=120s"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "KUBECONFIG": kube.kubeconfig},
    )  # fmt: skip
    assert watching.stdout is not None
    try:
        # A watch that has not begun yet misses the first ones.
        for number in range(50):
            kube.kubectl("create", "configmap", f"seen-{number}")
            if select.select([watching.stdout], [], [], 0.1)[0]:
                break
        assert watching.stdout.readline().startswith("configmap/seen-")
    finally:
        watching.terminate()
        watching.communicate(timeout=90)
