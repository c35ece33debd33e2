"""Upstream's defaults, kind by kind."""

from __future__ import annotations

import pytest

from longshore.core.objects.defaults import default
from longshore.core.objects.defaults.pods import pull_policy
from longshore.core.objects.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    NAMESPACE,
    NODE,
    POD,
    REPLICA_SET,
    SECRET,
    SERVICE,
)

from .samples import deployment, pod, service


def test_a_plain_pod() -> None:
    assert default(POD, pod())["spec"] == {
        "containers": [
            {
                "name": "web", "image": "nginx:1.27", "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File", "resources": {},
            }
        ],
        "enableServiceLinks": True, "restartPolicy": "Always", "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler",
        "securityContext": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"), ("nginx:latest", "Always"), ("nginx:1.27", "IfNotPresent"),
        ("localhost:5000/nginx", "Always"), ("localhost:5000/nginx:2", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"), ("nginx:latest@sha256:abc", "IfNotPresent"),
    ],
)  # fmt: skip
def test_a_floating_tag_is_always_pulled(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_limits_become_requests_in_pods_but_not_in_templates() -> None:
    limits = {"cpu": "1", "memory": "1Gi"}
    resources = {"limits": limits, "requests": {"cpu": "100m"}}
    container = {"name": "web", "image": "nginx", "resources": resources}
    spec = default(POD, pod(containers=[container]))["spec"]
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}
    template = {"spec": {"containers": [{"name": "web", "resources": {"limits": dict(limits)}}]}}
    filled = default(DEPLOYMENT, deployment(template=template))["spec"]["template"]["spec"]
    assert filled["containers"][0]["resources"] == {"limits": limits}
    assert "enableServiceLinks" not in filled


def test_the_parts_of_a_container() -> None:
    container = {
        "name": "web", "image": "x:1", "ports": [{"containerPort": 80}],
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
        "livenessProbe": {"httpGet": {"port": 80}}, "startupProbe": {"grpc": {"port": 1}},
        "lifecycle": {"preStop": {"httpGet": {"port": 80}}, "stopSignal": "SIGTERM"},
    }  # fmt: skip
    filled = default(POD, pod(containers=[container]))["spec"]["containers"][0]
    assert filled["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert filled["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert filled["env"][1]["valueFrom"]["resourceFieldRef"]["divisor"] == "0"
    numbers = {
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    http = {"port": 80, "path": "/", "scheme": "HTTP"}
    assert filled["livenessProbe"] == {"httpGet": http, **numbers}
    assert filled["startupProbe"] == {"grpc": {"port": 1, "service": ""}, **numbers}
    assert filled["lifecycle"]["preStop"] == {"httpGet": http}


def test_volumes() -> None:
    volumes = [
        {"name": "a"}, {"name": "b", "secret": {"secretName": "s"}}, {"name": "c", "hostPath": {"path": "/"}},
        {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ]  # fmt: skip
    filled = default(POD, pod(volumes=volumes))["spec"]["volumes"]
    assert filled[0] == {"name": "a", "emptyDir": {}}
    assert filled[1]["secret"]["defaultMode"] == 420
    assert filled[2]["hostPath"]["type"] == ""
    assert filled[3]["projected"]["defaultMode"] == 420
    assert filled[3]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] == 3600


def test_ports_of_the_host_and_names_of_accounts() -> None:
    container = {"name": "web", "image": "x", "ports": [{"containerPort": 80}]}
    spec = default(POD, pod(containers=[container], hostNetwork=True, serviceAccount="old"))["spec"]
    assert spec["containers"][0]["ports"][0]["hostPort"] == 80
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("old", "old")


def test_workloads() -> None:
    spec = default(DEPLOYMENT, deployment())["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (
        1,
        10,
        600,
    )
    rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    recreate = default(DEPLOYMENT, deployment(strategy={"type": "Recreate"}))["spec"]
    assert recreate["strategy"] == {"type": "Recreate"}
    assert default(DEPLOYMENT, deployment(replicas=0))["spec"]["replicas"] == 0
    assert default(REPLICA_SET, {"spec": {}})["spec"]["replicas"] == 1


def test_a_service() -> None:
    spec = default(SERVICE, service())["spec"]
    assert spec == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "selector": {"app": "nginx"},
        "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
    }  # fmt: skip


def test_services_of_other_types() -> None:
    node_port = default(SERVICE, service(type="NodePort"))["spec"]
    assert node_port["externalTrafficPolicy"] == "Cluster"
    assert "allocateLoadBalancerNodePorts" not in node_port
    assert (
        default(SERVICE, service(type="LoadBalancer"))["spec"]["allocateLoadBalancerNodePorts"]
        is True
    )
    external = default(SERVICE, service(type="ExternalName", externalName="x.org"))["spec"]
    assert not {"internalTrafficPolicy", "ipFamilies"} & external.keys()
    sticky = default(SERVICE, service(sessionAffinity="ClientIP"))["spec"]
    assert sticky["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    assert default(SERVICE, service(clusterIP="None"))["spec"]["clusterIPs"] == ["None"]


def test_a_secret_keeps_plain_strings_encoded() -> None:
    doc = default(SECRET, {"data": {"a": "eA=="}, "stringData": {"b": "geheim", "a": "neu"}})
    assert doc == {"metadata": {}, "type": "Opaque", "data": {"a": "bmV1", "b": "Z2VoZWlt"}}


def test_the_rest() -> None:
    space = default(NAMESPACE, {"metadata": {"name": "shop"}})
    assert space["spec"] == {"finalizers": ["kubernetes"]}
    assert space["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    node = default(NODE, {"status": {"capacity": {"cpu": "4"}}})
    assert node["status"]["allocatable"] == {"cpu": "4"}
    assert node["status"]["allocatable"] is not node["status"]["capacity"]
    slice_ = default(ENDPOINT_SLICE, {"ports": [{"port": 80}]})
    assert slice_["ports"] == [{"port": 80, "name": "", "protocol": "TCP"}]
    ends = default(ENDPOINTS, {"subsets": [{"ports": [{"port": 80}]}]})
    assert ends["subsets"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]
