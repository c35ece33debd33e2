"""Resource quotas through kubectl, on hollow nodes: what the conformance suite asks of them, one
test each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .driver import Cluster, eventually, within

pytestmark = pytest.mark.slow
SPACE = "quotas"
PATH = f"/api/v1/namespaces/{SPACE}/resourcequotas/q"


@pytest.fixture
def kube(hollow: Cluster) -> Iterator[Cluster]:
    with within(hollow, SPACE) as own:
        yield own


def quota(kube: Cluster, hard: str, scopes: str = "", name: str = "q") -> None:
    words = [f"--scopes={scopes}"] if scopes else []
    kube.kubectl("create", "quota", name, f"--hard={hard}", *words)


async def used(kube: Cluster, name: str = "q", **amounts: str) -> None:
    """Wait until the quota tells these uses; a dot in a name is two underscores here."""
    wanted = {key.replace("__", "."): value for key, value in amounts.items()}

    def told() -> bool:
        seen = kube.get("quota", name)["status"].get("used", {})
        return all(seen.get(key) == value for key, value in wanted.items())

    await eventually(told, f"{wanted} used of {name}")


def pod(name: str, **more: Any) -> dict[str, Any]:
    """more: of its spec, but for requests and limits, which are its container's."""
    resources = {key: more.pop(key) for key in ("requests", "limits") if key in more}
    container = {"name": "c", "image": "nginx", "resources": resources}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **more},
    }  # fmt: skip


def refused(kube: Cluster, manifest: dict[str, Any]) -> str:
    return kube.kubectl("create", "-f", "-", stdin=json.dumps(manifest), code=1)


def controller(kind: str, replicas: int) -> dict[str, Any]:
    labels, version = {"app": "web"}, "v1" if kind == "ReplicationController" else "apps/v1"
    selector = labels if kind == "ReplicationController" else {"matchLabels": labels}
    template = {"metadata": {"labels": labels}, "spec": pod("x")["spec"]}
    del template["spec"]["terminationGracePeriodSeconds"]
    spec = {"replicas": replicas, "selector": selector, "template": template}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, "spec": spec}


async def test_what_is_used_is_soon_told(kube: Cluster) -> None:
    quota(kube, "pods=5,services=10,configmaps=10")
    await used(kube, pods="0", services="0")
    assert kube.get("quota", "q")["status"]["hard"]["pods"] == "5"


async def test_a_service_is_counted_by_its_type(kube: Cluster) -> None:
    quota(kube, "services=3,services.nodeports=1,services.loadbalancers=1")
    kube.kubectl("create", "service", "clusterip", "one", "--tcp=80")
    kube.kubectl("create", "service", "nodeport", "two", "--tcp=80")
    await used(kube, services="2", services__nodeports="1", services__loadbalancers="0")
    too_many = kube.kubectl("create", "service", "nodeport", "three", "--tcp=80", code=1)
    assert "exceeded quota: q, requested: services.nodeports=1" in too_many
    kube.kubectl("delete", "service", "one", "two")
    await used(kube, services="0", services__nodeports="0")


@pytest.mark.parametrize(
    ("name", "words"),
    [("secrets", ("secret", "generic")), ("configmaps", ("configmap",))],
)
async def test_a_kept_thing_is_counted_while_it_is_there(
    kube: Cluster, name: str, words: tuple[str, ...]
) -> None:
    there = len(kube.get(name)["items"])  # kube-root-ca.crt is a ConfigMap too
    quota(kube, f"{name}={there + 1}")
    await used(kube, **{name: str(there)})
    kube.kubectl("create", *words, "one", "--from-literal=a=b")
    await used(kube, **{name: str(there + 1)})
    said = kube.kubectl("create", *words, "two", "--from-literal=a=b", code=1)
    assert f"exceeded quota: q, requested: {name}=1, used: {name}={there + 1}" in said
    kube.kubectl("delete", words[0], "one")
    await used(kube, **{name: str(there)})


async def test_a_pod_is_counted_with_what_it_asks_for(kube: Cluster) -> None:
    quota(
        kube,
        "pods=5,cpu=1,memory=500Mi,requests.ephemeral-storage=50Gi,requests.example.com/dongle=3",
    )
    asks = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi"}
    dongles = {"example.com/dongle": "2"}
    kube.apply(pod("one", requests={**asks, **dongles}, limits=dongles))
    counted = {"requests__ephemeral-storage": "30Gi", "requests__example__com/dongle": "2"}
    await used(kube, pods="1", cpu="500m", memory="252Mi", **counted)
    assert "exceeded quota" in refused(kube, pod("two", requests={**asks, "cpu": "600m"}))
    assert "exceeded quota" in refused(
        kube, pod("two", requests={**asks, **dongles}, limits=dongles)
    )
    assert "must specify" in refused(kube, pod("two", requests={"cpu": "100m"}))
    patch = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "900m"}}}]}}
    kube.kubectl("patch", "pod", "one", "-p", json.dumps(patch), code=1)
    await used(kube, cpu="500m")
    kube.kubectl("delete", "pod", "one", "--timeout=120s")
    await used(kube, pods="0", cpu="0", memory="0")


@pytest.mark.parametrize(
    ("kind", "count"),
    [("ReplicaSet", "count/replicasets.apps"), ("ReplicationController", "replicationcontrollers")],
)
async def test_a_controller_is_counted_while_it_is_there(
    kube: Cluster, kind: str, count: str
) -> None:
    quota(kube, f"{count}=1")
    key = count.replace(".", "__")
    await used(kube, **{key: "0"})
    kube.apply(controller(kind, 0))
    await used(kube, **{key: "1"})
    other = {**controller(kind, 0), "metadata": {"name": "other"}}
    assert "exceeded quota" in refused(kube, other)
    kube.kubectl("delete", kind, "web", "--timeout=120s")
    await used(kube, **{key: "0"})


async def test_short_lived_pods_have_a_scope_of_their_own(kube: Cluster) -> None:
    quota(kube, "pods=5,cpu=1", "Terminating", "ending")
    quota(kube, "pods=5,cpu=1", "NotTerminating", "lasting")
    kube.apply(pod("long", requests={"cpu": "500m"}))
    await used(kube, "lasting", pods="1", cpu="500m")
    await used(kube, "ending", pods="0")
    kube.apply(pod("short", requests={"cpu": "300m"}, activeDeadlineSeconds=3600))
    await used(kube, "ending", pods="1", cpu="300m")
    await used(kube, "lasting", pods="1")
    kube.kubectl("delete", "pod", "long", "short", "--timeout=120s")
    await used(kube, "ending", pods="0", cpu="0")
    await used(kube, "lasting", pods="0", cpu="0")


async def test_pods_that_ask_for_nothing_have_a_scope_of_their_own(kube: Cluster) -> None:
    quota(kube, "pods=5", "BestEffort", "idle")
    quota(kube, "pods=5", "NotBestEffort", "busy")
    kube.apply(pod("nothing"))
    await used(kube, "idle", pods="1")
    await used(kube, "busy", pods="0")
    kube.apply(pod("some", requests={"cpu": "100m"}))
    await used(kube, "busy", pods="1")
    await used(kube, "idle", pods="1")
    kube.kubectl("delete", "pod", "nothing", "some", "--timeout=120s")
    await used(kube, "idle", pods="0")
    await used(kube, "busy", pods="0")


async def test_a_quota_is_updated_and_deleted(kube: Cluster) -> None:
    quota(kube, "cpu=1,memory=500Mi")
    patch = '{"spec":{"hard":{"cpu":"2","memory":"1Gi"}}}'
    kube.kubectl("patch", "quota", "q", "-p", patch)
    assert kube.get("quota", "q")["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    await eventually(lambda: kube.get("quota", "q")["status"]["hard"]["cpu"] == "2", "it is seen")
    kube.kubectl("delete", "quota", "q")
    assert "NotFound" in kube.kubectl("get", "quota", "q", code=1)


async def test_the_life_of_a_quota(kube: Cluster) -> None:
    quota(kube, "cpu=1,memory=500Mi")
    kube.kubectl("label", "quota", "q", "test=life")
    assert "q" in kube.kubectl("get", "quota", "-A", "-l", "test=life")
    kube.kubectl("patch", "quota", "q", "--type=merge", "-p", '{"spec":{"hard":{"cpu":"750m"}}}')
    kube.kubectl("delete", "quota", "-l", "test=life")
    assert kube.get("quota")["items"] == []


async def test_a_status_is_a_resource_of_its_own(kube: Cluster) -> None:
    quota(kube, "pods=5")
    await used(kube, pods="0")
    status = json.loads(kube.kubectl("get", "--raw", f"{PATH}/status"))
    status["status"]["hard"]["pods"] = "9"
    status["spec"]["hard"]["pods"] = "7"
    answer = json.loads(
        kube.kubectl("replace", "--raw", f"{PATH}/status", "-f", "-", stdin=json.dumps(status))
    )
    assert (answer["spec"]["hard"]["pods"], answer["status"]["hard"]["pods"]) == ("5", "9")
    await eventually(lambda: kube.get("quota", "q")["status"]["hard"]["pods"] == "5", "mended")
