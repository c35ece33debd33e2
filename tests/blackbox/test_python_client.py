"""Kubernetes' official client for Python (PyPI: kubernetes), as its users use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from .driver import Cluster, eventually

pytestmark = pytest.mark.slow

NAMESPACE = "python-client"
# The parts of the client that have no types.
connect: Any = config.new_client_from_config
Watch: Any = watch.Watch


@pytest.fixture(scope="module")
def api(hollow: Cluster) -> Iterator[Any]:
    """A connection to the cluster, and a namespace that is empty at first."""
    with connect(hollow.kubeconfig) as connection:
        core = client.CoreV1Api(connection)
        core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
        yield connection
        core.delete_namespace(NAMESPACE)


@pytest.fixture
def core(api: Any) -> Any:
    return client.CoreV1Api(api)


@pytest.fixture
def apps(api: Any) -> Any:
    return client.AppsV1Api(api)


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> Any:
    return client.V1ConfigMap(
        metadata=client.V1ObjectMeta(name=name, labels=labels or {"set": "mine"}), data=data
    )


def deployment(name: str, replicas: int) -> Any:
    container = client.V1Container(
        name="web", image="nginx:1.25", env=[client.V1EnvVar(name="A", value="1")]
    )
    labels = {"app": name}
    return client.V1Deployment(
        metadata=client.V1ObjectMeta(name=name),
        spec=client.V1DeploymentSpec(
            replicas=replicas,
            selector=client.V1LabelSelector(match_labels=labels),
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels=labels),
                spec=client.V1PodSpec(containers=[container]),
            ),
        ),
    )


def test_the_server_says_what_it_is_and_what_it_has(api: Any, core: Any) -> None:
    assert client.VersionApi(api).get_code().major == "1"
    assert "v1" in client.CoreApi(api).get_api_versions().versions
    groups = client.ApisApi(api).get_api_versions().groups
    assert "apps" in {group.name for group in groups}
    plural = {resource.name for resource in core.get_api_resources().resources}
    assert {"pods", "pods/status", "nodes", "configmaps"} <= plural
    nodes = core.list_node().items
    assert [node.metadata.name for node in nodes] == ["node-1", "node-2", "node-3"]
    assert all(node.spec.pod_cidr == node.spec.pod_cidrs[0] for node in nodes)
    assert nodes[0].metadata.creation_timestamp.tzinfo is not None


def test_lists_choose_and_come_in_pages(core: Any) -> None:
    for number in range(5):
        parity = {"set": "pages", "parity": "even" if number % 2 == 0 else "odd"}
        core.create_namespaced_config_map(NAMESPACE, config_map(f"page-{number}", parity))

    def names(**chosen: Any) -> list[str]:
        listed = core.list_namespaced_config_map(NAMESPACE, **chosen)
        return [item.metadata.name for item in listed.items]

    assert names(label_selector="set=pages,parity!=odd") == ["page-0", "page-2", "page-4"]
    assert names(label_selector="parity in (odd)") == ["page-1", "page-3"]
    assert names(field_selector="metadata.name=page-3") == ["page-3"]
    found, go_on = [], None
    while go_on != "":
        page = core.list_namespaced_config_map(
            NAMESPACE, label_selector="set=pages", limit=2, _continue=go_on
        )
        assert len(page.items) <= 2
        found += [item.metadata.name for item in page.items]
        go_on = page.metadata._continue or ""
    assert found == [f"page-{number}" for number in range(5)]
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="set=pages")
    assert names(label_selector="set=pages") == []


def test_a_watch_tells_every_change_in_order(core: Any) -> None:
    since = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version

    def change() -> None:
        core.create_namespaced_config_map(NAMESPACE, config_map("seen", {"set": "w"}, count="0"))
        core.create_namespaced_config_map(NAMESPACE, config_map("other", {"set": "else"}))
        for count in range(1, 4):
            core.patch_namespaced_config_map("seen", NAMESPACE, {"data": {"count": str(count)}})
        core.delete_namespaced_config_map("seen", NAMESPACE)
        core.delete_namespaced_config_map("other", NAMESPACE)

    stream, heard = Watch(), []
    with ThreadPoolExecutor(1) as pool:
        changes = pool.submit(change)
        for event in stream.stream(
            core.list_namespaced_config_map,
            NAMESPACE,
            label_selector="set=w",
            resource_version=since,
            timeout_seconds=30,
        ):
            heard.append((event["type"], event["object"].data["count"]))
            if event["type"] == "DELETED":
                stream.stop()
        changes.result()
    assert heard == [
        ("ADDED", "0"), ("MODIFIED", "1"), ("MODIFIED", "2"), ("MODIFIED", "3"), ("DELETED", "3"),
    ]  # fmt: skip


def test_a_watch_from_nowhere_begins_with_what_is_there_and_ends_in_time(core: Any) -> None:
    core.create_namespaced_config_map(NAMESPACE, config_map("there", {"set": "there"}))
    events = Watch().stream(
        core.list_namespaced_config_map,
        NAMESPACE,
        label_selector="set=there",
        timeout_seconds=1,
    )
    assert [(e["type"], e["object"].metadata.name) for e in events] == [("ADDED", "there")]
    core.delete_namespaced_config_map("there", NAMESPACE)


async def test_deployments_are_made_patched_scaled_and_deleted(core: Any, apps: Any) -> None:
    made = apps.create_namespaced_deployment(NAMESPACE, deployment("web", 2))
    assert (made.spec.replicas, made.spec.strategy.type) == (2, "RollingUpdate")

    def ready(count: int) -> bool:
        now = apps.read_namespaced_deployment("web", NAMESPACE)
        seen = now.status.observed_generation == now.metadata.generation
        return seen and (now.status.ready_replicas or 0) == (now.status.replicas or 0) == count

    await eventually(lambda: ready(2), "two pods are ready")
    scale = apps.read_namespaced_deployment_scale("web", NAMESPACE)
    assert (scale.spec.replicas, scale.status.selector) == (2, "app=web")
    apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 4}})
    await eventually(lambda: ready(4), "four pods are ready")
    pods = core.list_namespaced_pod(NAMESPACE, label_selector="app=web").items
    assert {pod.status.phase for pod in pods} == {"Running"}
    assert len({pod.status.pod_ip for pod in pods}) == 4
    apps.delete_namespaced_deployment("web", NAMESPACE, propagation_policy="Foreground")
    await eventually(
        lambda: not core.list_namespaced_pod(NAMESPACE, label_selector="app=web").items,
        "its pods are gone too",
    )
    with pytest.raises(ApiException, match="Not Found"):
        apps.read_namespaced_deployment("web", NAMESPACE)


def test_a_strategic_patch_merges_lists_by_name_and_a_merge_patch_replaces_them(
    api: Any, apps: Any
) -> None:
    apps.create_namespaced_deployment(NAMESPACE, deployment("patched", 0))
    wanted = {"name": "web", "env": [{"name": "B", "value": "2"}]}
    patch = {"spec": {"template": {"spec": {"containers": [wanted]}}}}

    def env(how: str) -> tuple[str, list[str]]:
        kwargs = {"_content_type": how}
        now = apps.patch_namespaced_deployment("patched", NAMESPACE, patch, **kwargs)
        (container,) = now.spec.template.spec.containers
        return container.image, [variable.name for variable in container.env]

    image, names = env("application/strategic-merge-patch+json")
    assert (image, sorted(names)) == ("nginx:1.25", ["A", "B"])
    wanted["image"] = "nginx:1.26"
    assert env("application/merge-patch+json") == ("nginx:1.26", ["B"])
    ops = [{"op": "replace", "path": "/spec/paused", "value": True}]
    with pytest.raises(ApiException) as refused:
        apps.patch_namespaced_deployment("patched", NAMESPACE, ops)
    assert refused.value.status == 422, "there is nothing there to replace"
    ops[0]["op"] = "add"
    assert apps.patch_namespaced_deployment("patched", NAMESPACE, ops).spec.paused
    apps.delete_namespaced_deployment("patched", NAMESPACE)


def test_what_is_refused_is_told_as_a_status(core: Any) -> None:
    def told(status: int, reason: str, act: Any, *words: Any) -> Any:
        with pytest.raises(ApiException) as refused:
            act(*words)
        assert refused.value.body is not None
        body = client.V1Status.from_dict(json.loads(refused.value.body))
        assert body is not None
        assert (refused.value.status, body.status, body.reason) == (status, "Failure", reason)
        return body

    missing = told(404, "NotFound", core.read_namespaced_config_map, "none", NAMESPACE)
    assert missing.message == 'configmaps "none" not found'
    assert (missing.details.name, missing.details.kind) == ("none", "configmaps")
    told(404, "NotFound", core.delete_namespaced_config_map, "none", NAMESPACE)
    told(404, "NotFound", core.create_namespaced_config_map, "nowhere", config_map("x"))
    core.create_namespaced_config_map(NAMESPACE, config_map("once"))
    told(409, "AlreadyExists", core.create_namespaced_config_map, NAMESPACE, config_map("once"))
    stale = core.read_namespaced_config_map("once", NAMESPACE)
    core.patch_namespaced_config_map("once", NAMESPACE, {"data": {"a": "b"}})
    told(409, "Conflict", core.replace_namespaced_config_map, "once", NAMESPACE, stale)
    invalid = told(422, "Invalid", core.create_namespaced_config_map, NAMESPACE, config_map("No"))
    assert [cause.field for cause in invalid.details.causes] == ["metadata.name"]
    core.delete_namespaced_config_map("once", NAMESPACE)
