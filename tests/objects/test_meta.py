"""Strategies: who may set what, and when generations grow."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from longshore.core.objects import meta
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    Doc,
    Kind,
)

from .samples import deployment, pod, service


def stored(kind: Kind, doc: Doc) -> Doc:
    doc = meta.prepare_create(kind, default(kind, doc))
    doc["metadata"].update(uid="u1", creationTimestamp="2026-11-21T08:00:00Z", resourceVersion="7")
    return doc


def copy(doc: Doc) -> Doc:
    copied: Doc = orjson.loads(orjson.dumps(doc))
    return copied


def test_a_new_object_has_no_say_in_what_is_the_systems() -> None:
    doc = pod()
    doc["metadata"].update(uid="mine", generation=9, selfLink="x", deletionTimestamp="x")
    doc["status"] = {"phase": "Running", "podIP": "1.2.3.4"}
    made = meta.prepare_create(POD, default(POD, doc))
    assert made["metadata"] == {"name": "web", "namespace": "default", "generation": 1}
    assert made["status"] == {"phase": "Pending"}


def test_a_gated_pod_says_from_its_first_moment_why_it_is_not_placed() -> None:
    doc = pod(schedulingGates=[{"name": "test/hold"}])
    made = meta.prepare_create(POD, default(POD, doc))
    made["metadata"]["creationTimestamp"] = "2026-11-21T08:00:00Z"
    (waits,) = meta.identified(POD, made)["status"]["conditions"]
    assert (waits["type"], waits["reason"]) == ("PodScheduled", "SchedulingGated")
    assert waits["lastTransitionTime"] == "2026-11-21T08:00:00Z"
    assert "conditions" not in made["status"]


def test_nodes_register_with_their_status() -> None:
    made = meta.prepare_create(
        NODE, {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "1"}}}
    )
    assert made["status"] == {"capacity": {"cpu": "1"}}


def test_first_statuses() -> None:
    assert meta.prepare_create(NAMESPACE, {"metadata": {"name": "a"}})["status"] == {
        "phase": "Active"
    }
    assert meta.prepare_create(SERVICE, service())["status"] == {"loadBalancer": {}}
    assert "generation" not in meta.prepare_create(CONFIG_MAP, {"metadata": {}})["metadata"]


def test_the_main_endpoint_ignores_status_and_keeps_system_fields() -> None:
    old = stored(DEPLOYMENT, deployment())
    old["status"] = {"replicas": 1}
    before = copy(old)
    new = default(DEPLOYMENT, deployment(replicas=5))
    new["status"] = {"replicas": 99}
    new["metadata"]["generation"] = 50
    made = meta.prepare_update(DEPLOYMENT, new, old)
    assert made["status"] == {"replicas": 1}
    assert made["spec"]["replicas"] == 5
    assert (made["metadata"]["uid"], made["metadata"]["generation"]) == ("u1", 2)
    assert old == before


def test_metadata_alone_is_no_new_generation() -> None:
    old = stored(DEPLOYMENT, deployment())
    new = copy(old)
    new["metadata"]["labels"] = {"a": "b"}
    assert meta.prepare_update(DEPLOYMENT, new, old)["metadata"]["generation"] == 1
    assert not meta.generation_changed(DEPLOYMENT, new, old)


def test_the_status_endpoint_ignores_the_rest() -> None:
    old = stored(POD, pod())
    new = default(POD, pod(nodeName="elsewhere"))
    new["status"] = {"phase": "Running"}
    new["metadata"]["labels"] = {"a": "b"}
    new["metadata"]["ownerReferences"] = [{"uid": "x"}]
    made = meta.prepare_update(POD, new, old, "status")
    assert made["status"] == {"phase": "Running"}
    assert made["spec"] is old["spec"]
    assert made["metadata"]["labels"] == {"a": "b"}
    assert "ownerReferences" not in made["metadata"]
    assert made["metadata"]["generation"] == 1


def test_the_status_of_a_deployment_leaves_its_labels() -> None:
    old = stored(DEPLOYMENT, deployment())
    new = copy(old)
    new["metadata"]["labels"] = {"a": "b"}
    assert "labels" not in meta.prepare_update(DEPLOYMENT, new, old, "status")["metadata"]


def test_only_finalize_takes_away_a_namespaces_finalizers() -> None:
    old = stored(NAMESPACE, {"metadata": {"name": "a"}})
    new = copy(old)
    new["spec"]["finalizers"] = []
    assert meta.prepare_update(NAMESPACE, new, old)["spec"]["finalizers"] == ["kubernetes"]
    assert meta.prepare_update(NAMESPACE, new, old, "finalize")["spec"]["finalizers"] == []


def test_a_slice_is_all_spec() -> None:
    old = stored(
        ENDPOINT_SLICE, {"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": []}
    )
    new = {**copy(old), "endpoints": [{"addresses": ["10.0.0.1"]}]}
    assert meta.prepare_update(ENDPOINT_SLICE, new, old)["metadata"]["generation"] == 2


def node_port(number: int = 0) -> list[Doc]:
    return [{"port": 80, "protocol": "TCP", **({"nodePort": number} if number else {})}]


def test_who_changes_one_field_of_an_address_means_both() -> None:
    given = {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}
    old = stored(SERVICE, service(**given))
    other = meta.prepare_update(SERVICE, service(**{**given, "clusterIP": "10.96.0.8"}), old)
    assert other["spec"]["clusterIPs"] == ["10.96.0.8"]
    both = service(clusterIP="10.96.0.8", clusterIPs=["10.96.0.7"])
    assert meta.prepare_update(SERVICE, both, old)["spec"]["clusterIPs"] == ["10.96.0.7"]


def test_a_service_keeps_what_it_was_given() -> None:
    old = stored(SERVICE, service(type="NodePort", ports=node_port(30_080), clusterIP="10.96.0.9"))
    made = meta.prepare_update(SERVICE, default(SERVICE, service(type="NodePort")), old)
    assert (made["spec"]["clusterIP"], made["spec"]["ports"][0]["nodePort"]) == (
        "10.96.0.9",
        30_080,
    )
    plain = meta.prepare_update(SERVICE, default(SERVICE, service(ports=node_port(30_080))), old)
    assert plain["spec"]["clusterIP"] == "10.96.0.9"
    assert "nodePort" not in plain["spec"]["ports"][0]
    name = service(type="ExternalName", externalName="x.org", clusterIP="10.96.0.9")
    external = meta.prepare_update(SERVICE, default(SERVICE, name), old)
    assert not {"clusterIP", "clusterIPs"} & external["spec"].keys()


def test_a_node_port_moves_with_its_owner_only_once() -> None:
    ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b", "nodePort": 30_080}]
    old = stored(SERVICE, service(type="NodePort", ports=node_port(30_080)))
    made = meta.prepare_update(
        SERVICE, default(SERVICE, service(type="NodePort", ports=ports)), old
    )
    assert [port.get("nodePort") for port in made["spec"]["ports"]] == [None, 30_080]


def container(limits: Doc | None = None, requests: Doc | None = None) -> Doc:
    return {
        "name": "a",
        "image": "x",
        "resources": {"limits": limits or {}, "requests": requests or {}},
    }


@pytest.mark.parametrize(
    ("containers", "quality"),
    [
        ([container()], "BestEffort"),
        ([container({"cpu": "1", "memory": "1Gi"})], "Guaranteed"),
        (
            [container({"cpu": "1", "memory": "1Gi"}, {"cpu": "1000m", "memory": "1024Mi"})],
            "Guaranteed",
        ),
        ([container({"cpu": "1", "memory": "1Gi"}, {"cpu": "500m", "memory": "1Gi"})], "Burstable"),
        ([container({"cpu": "1"})], "Burstable"),
        ([container({"cpu": "1", "memory": "1Gi"}), container()], "Burstable"),
        ([container(requests={"example.com/gpu": "1"})], "BestEffort"),
        ([container(requests={"cpu": "0"})], "BestEffort"),
    ],
)
def test_quality_of_service(containers: list[Doc], quality: str) -> None:
    assert meta.qos_class({"spec": {"containers": containers}}) == quality


def test_pod_level_resources_come_first() -> None:
    amounts = {"cpu": "1", "memory": "1Gi"}
    spec: dict[str, Any] = {
        "containers": [container()],
        "resources": {"limits": amounts, "requests": amounts},
    }
    assert meta.qos_class({"spec": spec}) == "Guaranteed"


def test_scale() -> None:
    doc = stored(DEPLOYMENT, deployment(replicas=3))
    doc["status"] = {"replicas": 2}
    assert meta.scale_of(doc) == {
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": "web", "namespace": "default", "uid": "u1", "resourceVersion": "7",
                     "creationTimestamp": "2026-11-21T08:00:00Z"},
        "spec": {"replicas": 3}, "status": {"replicas": 2, "selector": "app=nginx"},
    }  # fmt: skip
    assert meta.with_replicas(doc, 5)["spec"]["replicas"] == 5
    assert doc["spec"]["replicas"] == 3
