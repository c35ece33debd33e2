"""Two teams on one cluster, each with a certificate of its own, and what kubectl tells them of one
another: nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from longshore.core.pki.pairs import Wanted
from longshore.core.pki.requests import make

from .driver import Cluster, eventually

pytestmark = pytest.mark.slow

CANARY = "vault-7d1f"


@dataclass
class Teams:
    """The cluster as its administrator sees it, and as the administrators of red and blue do."""

    cluster: Cluster
    red: Cluster
    blue: Cluster


def as_user(cluster: Cluster, folder: Path, user: str, *groups: str) -> Cluster:
    """The cluster for somebody who asked for a certificate and was given it."""
    key, request = make(Wanted(user, groups))
    spec = {
        "request": base64.b64encode(request).decode(), "usages": ["client auth"],
        "signerName": "kubernetes.io/kube-apiserver-client",
    }  # fmt: skip
    api = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
    cluster.apply({**api, "metadata": {"name": user}, "spec": spec})
    cluster.kubectl("certificate", "approve", user)
    cluster.kubectl("wait", f"csr/{user}", "--for=jsonpath={.status.certificate}", "--timeout=120s")
    issued = cluster.get("csr", user)["status"]["certificate"]
    config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    for one in config["users"]:
        shown = {
            "client-certificate-data": issued,
            "client-key-data": base64.b64encode(key).decode(),
        }
        one["user"] = shown
    file = folder / f"{user}.kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return replace(cluster, kubeconfig=str(file))


@pytest.fixture(scope="module")
def teams(hollow: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teams]:
    folder = tmp_path_factory.mktemp("teams")
    hollow.longshore("tenant create", "red", "--admin", "ann", "--cpu", "2", "--pods", "3")
    hollow.longshore("tenant create", "red-blue", "--json")
    red = as_user(hollow, folder, "ann")
    blue = as_user(hollow, folder, "bob", "tenant:red-blue:admins")
    here = ("-n", "red-blue")
    blue.kubectl("create", "secret", "generic", CANARY, f"--from-literal=a={CANARY}", *here)
    blue.kubectl("create", "deployment", CANARY, "--image=nginx", *here)
    blue.kubectl("expose", "deployment", CANARY, "--port=80", *here)
    blue.kubectl("rollout", "status", "deployment", CANARY, "--timeout=120s", *here)
    yield Teams(hollow, red, blue)
    for name in ("red", "red-blue"):
        hollow.longshore("tenant delete", name)
        hollow.kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=120s")
        assert "no tenant has the name" in hollow.longshore("tenant show", name, code=2)
    hollow.kubectl("delete", "csr", "ann", "bob")


ROADS = [
    "get pods -A", "get all -A", "get all -n red-blue", "get pods -n red-blue -o wide",
    "get secrets -A", "get events -A", "events -n red-blue", "get namespaces",
    "get namespace red-blue", "get nodes", "top pods -A", "top pods -n red-blue", "top nodes",
    "get networkpolicies,resourcequotas,rolebindings -n red-blue", "get persistentvolumes",
    "get pods -A --field-selector=metadata.namespace=red-blue", "get certificatesigningrequests",
    f"logs deployment/{CANARY} -n red-blue", f"exec deployment/{CANARY} -n red-blue -- ls",
    f"describe deployment {CANARY} -n red-blue", f"port-forward deployment/{CANARY} 18080:80 -n red-blue",
    f"scale deployment {CANARY} --replicas=0 -n red-blue", "delete pods --all -n red-blue",
    "get --raw /metrics", f"get --raw /api/v1/namespaces/red-blue/services/{CANARY}:80/proxy/",
    "create rolebinding me --clusterrole=view --user=ann -n red-blue",
    "create clusterrolebinding me --clusterrole=view --user=ann",
    "label namespace red pod-security.kubernetes.io/enforce=privileged --overwrite",
    "delete resourcequota tenant -n red", "delete namespace red-blue",
    "get secrets -n red-blue --as=bob", "get secrets -A --as=x --as-group=system:masters",
]  # fmt: skip


def test_no_road_leads_to_the_other_team(teams: Teams) -> None:
    for road in ROADS:
        done = teams.red.kubectl_run(*road.split())
        assert done.returncode == 1 and done.stdout.strip() == "", (road, done)
        assert "forbidden" in done.stderr.lower(), (road, done.stderr)
        if CANARY not in road:
            assert CANARY not in done.stderr, (road, done.stderr)
    assert teams.blue.get("deployment", CANARY, "-n", "red-blue")["spec"]["replicas"] == 1


def test_a_refusal_is_the_same_for_what_is_there_and_what_is_not(teams: Teams) -> None:
    for verb in ("get", "delete"):
        for name in (f"secret/{CANARY}", f"deployment/{CANARY}"):
            there = teams.red.kubectl(verb, name, "-n", "red-blue", code=1)
            gone = teams.red.kubectl(verb, name.replace(CANARY, "absent"), "-n", "red-blue", code=1)
            nowhere = teams.red.kubectl(verb, name, "-n", "no-such", code=1)
            assert there == gone.replace("absent", CANARY) == nowhere.replace("no-such", "red-blue")


async def test_each_team_works_in_its_own(teams: Teams) -> None:
    here = ("-n", "red")
    teams.red.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=3", *here)
    teams.red.kubectl("rollout", "status", "deployment", "web", "--timeout=120s", *here)
    assert CANARY not in teams.red.kubectl(
        "get", "all,events,secrets,configmaps", "-o", "yaml", *here
    )
    await eventually(
        lambda: teams.red.kubectl_run("top", "pods", *here).stdout.count("web-") == 3,
        "figures of one's own pods",
    )
    teams.red.kubectl("scale", "deployment", "web", "--replicas=4", *here)

    def events() -> str:
        return teams.red.kubectl("get", "events", *here, "-o", "yaml")

    await eventually(lambda: "exceeded quota: tenant" in events(), "the fourth pod is refused")
    may = teams.red.kubectl("auth", "can-i", "create", "deployments", *here)
    assert may.strip() == "yes"
    listed = json.loads(teams.cluster.longshore("tenant list", "--json"))["tenants"]
    (red,) = [one for one in listed if one["name"] == "red"]
    assert red["quota"]["pods"] == {"used": "3", "hard": "3"}


def test_an_administrator_shows_and_changes_a_tenant(teams: Teams) -> None:
    cluster = teams.cluster
    shown = json.loads(cluster.longshore("tenant show", "red", "--json"))
    assert shown["networkPolicies"] == ["allow-dns", "allow-same-namespace", "default-deny"]
    access = {one["role"]: one["subjects"] for one in shown["access"]}
    assert access["admin"] == ["group:tenant:red:admins", "ann"]
    assert "--update applies" in cluster.longshore("tenant create", "red", code=2)
    cluster.kubectl("create", "namespace", "plain")
    assert "is no tenant's" in cluster.longshore("tenant create", "plain", code=2)
    assert "no tenant has the name" in cluster.longshore("tenant delete", "plain", code=2)
    cluster.kubectl("delete", "namespace", "plain")
    again = ("tenant create", "red", "--admin", "ann", "--pods", "3", "--update")
    cluster.longshore(*again, "--cpu", "4")
    hard = cluster.get("resourcequota", "tenant", "-n", "red")["spec"]["hard"]
    assert hard["requests.cpu"] == "4"
    patch = '{"spec":{"hard":{"requests.cpu":"5"}}}'
    cluster.kubectl("patch", "resourcequota", "tenant", "-n", "red", "--type=merge", "-p", patch)
    refused = cluster.longshore(*again, "--cpu", "6", code=2)
    assert "ResourceQuota/tenant: Apply failed with 1 conflict" in refused
    assert "applied so far: Namespace/red" in refused


def test_what_is_written_to_a_file_is_what_kubectl_applies(teams: Teams, tmp_path: Path) -> None:
    file = tmp_path / "green.yaml"
    teams.cluster.longshore("tenant create", "green", "--file", str(file))
    teams.cluster.kubectl("apply", "--server-side", "-f", str(file))
    assert "green" in teams.cluster.longshore("tenant list")
    teams.cluster.longshore("tenant delete", "green")
    teams.cluster.kubectl("wait", "--for=delete", "namespace/green", "--timeout=120s")
