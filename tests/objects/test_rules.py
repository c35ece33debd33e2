"""What is refused, and in which words. Each case is one change to a good document."""

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
    ENDPOINTS,
    EVENT,
    LEASE,
    NAMESPACE,
    NODE,
    POD,
    SECRET,
    SERVICE,
    Doc,
    Kind,
)
from longshore.core.objects.rules import validate_create, validate_update

from .samples import deployment, pod, service


def said(kind: Kind, doc: Doc) -> list[str]:
    causes = validate_create(kind, default(kind, orjson.loads(orjson.dumps(doc))))
    return [f"{cause.field}: {cause.message}" for cause in causes]


def said_of_update(kind: Kind, new: Doc, old: Doc) -> list[str]:
    old = default(kind, orjson.loads(orjson.dumps(old)))
    new = default(kind, orjson.loads(orjson.dumps(new)))
    causes = validate_update(kind, meta.prepare_update(kind, new, old), old)
    return [f"{cause.field}: {cause.message}" for cause in causes]


def web(**fields: Any) -> Doc:
    return pod(containers=[{"name": "web", "image": "nginx:1", **fields}])


def named(**metadata: Any) -> Doc:
    doc = pod()
    doc["metadata"].update(metadata)
    return doc


def test_good_documents_pass() -> None:
    assert said(POD, pod()) == []
    assert said(DEPLOYMENT, deployment()) == []
    assert said(SERVICE, service()) == []


LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
    "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    r"validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
    "an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "1", "controller": True}


@pytest.mark.parametrize(
    ("doc", "refusal"),
    [
        (named(name="Web"), f'metadata.name: Invalid value: "Web": {SUBDOMAIN_RULE}'),
        (named(name=""), "metadata.name: Required value: name or generateName is required"),
        (named(labels={"a b": "c"}), f'metadata.labels: Invalid value: "a b": {KEY_RULE}'),
        (named(labels={"/a": "c"}), 'metadata.labels: Invalid value: "/a": prefix part must be non-empty'),
        (named(labels={"a": "x" * 64}),
         f'metadata.labels: Invalid value: "{"x" * 64}": must be no more than 63 bytes'),
        (named(annotations={"a": "x" * 262_144}),
         "metadata.annotations: Too long: may not be more than 262144 bytes"),
        (named(finalizers=["mine"]),
         'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name '
         "nor is it fully qualified"),
        (named(ownerReferences=[{**OWNER, "uid": ""}]),
         'metadata.ownerReferences[0].uid: Required value: must not be empty'),
    ],
)  # fmt: skip
def test_metadata(doc: Doc, refusal: str) -> None:
    assert said(POD, doc) == [refusal]


def test_annotations_up_to_the_limit_pass_and_are_counted_in_bytes() -> None:
    assert said(POD, named(annotations={"a": "x" * 262_143})) == []
    assert len(said(POD, named(annotations={"a": "\u00fc" * 131_072}))) == 1


def test_two_controllers_are_one_too_many() -> None:
    [refusal] = said(POD, named(ownerReferences=[OWNER, {**OWNER, "uid": "2", "name": "b"}]))
    assert refusal.endswith(
        'Only one reference can have Controller set to true. Found "true" in references for '
        "ReplicaSet/a and ReplicaSet/b"
    )


def test_names_by_kind() -> None:
    assert said(NAMESPACE, {"metadata": {"name": "a.b"}}) == [
        f'metadata.name: Invalid value: "a.b": {LABEL_RULE}'
    ]
    wrong = service()
    wrong["metadata"]["name"] = "1a"
    assert len(said(SERVICE, wrong)) == 1
    assert said(POD, named(name="1a.b")) == []


def probe(**fields: Any) -> Doc:
    return web(livenessProbe={"tcpSocket": {"port": 80}, **fields})


@pytest.mark.parametrize(
    ("doc", "refusal"),
    [
        (pod(containers=[]), "spec.containers: Required value"),
        (web(image=""), "spec.containers[0].image: Required value"),
        (web(image=" x"),
         'spec.containers[0].image: Invalid value: " x": must not have leading or trailing whitespace'),
        (web(name="Web"), f'spec.containers[0].name: Invalid value: "Web": {LABEL_RULE}'),
        (pod(containers=[{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]),
         'spec.containers[1].name: Duplicate value: "a"'),
        (web(imagePullPolicy="Sometimes"),
         'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: '
         '"Always", "IfNotPresent", "Never"'),
        (pod(restartPolicy="Maybe"),
         'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "Never", "OnFailure"'),
        (pod(activeDeadlineSeconds=0),
         "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"),
        (web(ports=[{"containerPort": 0}]), "spec.containers[0].ports[0].containerPort: Required value"),
        (web(ports=[{"containerPort": 70_000}]),
         "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and "
         "65535, inclusive"),
        (web(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
         'spec.containers[0].ports[1].name: Duplicate value: "a"'),
        (web(ports=[{"containerPort": 1, "protocol": "ICMP"}]),
         'spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", '
         '"TCP", "UDP"'),
        (web(ports=[{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 80}]),
         'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"'),
        (web(env=[{"name": "A=B"}]),
         'spec.containers[0].env[0].name: Invalid value: "A=B": a valid environment variable name must '
         "consist only of printable ASCII characters other than '='"),
        (web(env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]),
         'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is '
         "not empty"),
        (web(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]),
         "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value"),
        (web(envFrom=[{}]),
         'spec.containers[0].envFrom[0]: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'),
        (web(volumeMounts=[{"name": "data", "mountPath": "/d"}]),
         'spec.containers[0].volumeMounts[0].name: Not found: "data"'),
        (web(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}),
         'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu '
         "limit of 1500m"),
        (pod(overhead={"memory": "-1"}),
         'spec.overhead[memory]: Invalid value: "-1": must be greater than or '
         "equal to 0"),
        (web(resources={"requests": {"gpu": "1"}}),
         'spec.containers[0].resources.requests: Invalid value: "gpu": must be a standard resource type '
         "or fully qualified"),
        (web(resources={"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "2"}}),
         'spec.containers[0].resources.requests: Invalid value: "1": must be equal to example.com/gpu '
         "limit of 2"),
        (web(livenessProbe={}),
         "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
        (probe(successThreshold=2),
         "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"),
        (probe(periodSeconds=-1),
         "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or "
         "equal to 0"),
        (probe(terminationGracePeriodSeconds=0),
         "spec.containers[0].livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be "
         "greater than 0"),
        (web(readinessProbe={"tcpSocket": {"port": 80}, "terminationGracePeriodSeconds": 5}),
         "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must "
         "not be set for readinessProbes"),
        (probe(exec={"command": ["x"]}),
         "spec.containers[0].livenessProbe.exec: Forbidden: may not specify more than 1 handler type"),
        (pod(initContainers=[{"name": "i", "image": "x", "livenessProbe": {"tcpSocket": {"port": 1}}}]),
         "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without "
         "restartPolicy=Always"),
        (pod(volumes=[{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]),
         'spec.volumes[1].name: Duplicate value: "a"'),
        (pod(volumes=[{"name": "a", "emptyDir": {}, "hostPath": {"path": "/", "type": ""}}]),
         "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"),
        (pod(volumes=[{"name": "a", "configMap": {}}]), "spec.volumes[0].configMap.name: Required value"),
        (pod(volumes=[{"name": "a", "configMap": {"name": "x", "items": [{"key": "k", "path": "../p"}]}}]),
         'spec.volumes[0].configMap.items[0].path: Invalid value: "../p": must not contain \'..\''),
        (pod(volumes=[{"name": "a", "secret": {"secretName": "x", "defaultMode": 512}}]),
         "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 "
         "(octal), both inclusive"),
        (pod(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
         'spec.tolerations[0].operator: Invalid value: "b": value must be empty when `operator` is \'Exists\''),
        (pod(securityContext={"sysctls": [{"name": "foo-", "value": "x"}]}),
         'spec.securityContext.sysctls[0].name: Invalid value: "foo-": must have at most 253 characters '
         "and match regex ^[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*$"),
        (pod(dnsPolicy="None"),
         "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when "
         "`dnsPolicy` is None"),
        (pod(nodeSelector={"a": "b c"}),
         'spec.nodeSelector: Invalid value: "b c": a valid label must be an empty string or consist of '
         "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
         "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
         "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"),
        (pod(topologySpreadConstraints=[{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]),
         "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"),
        (pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}),
         "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: "
         "Required value: must have at least one node selector term"),
    ],
)  # fmt: skip
def test_pods(doc: Doc, refusal: str) -> None:
    assert said(POD, doc) == [refusal]
    assert said(POD, doc) == [refusal], "a refused spec is not remembered as good"


def test_a_pods_deletion_cost_is_a_number_unless_it_never_was() -> None:
    def costs(cost: str) -> Doc:
        return named(annotations={"controller.kubernetes.io/pod-deletion-cost": cost})

    for good in ("0", "10", "-10", "2147483647", "-2147483648"):
        assert said(POD, costs(good)) == []
    for bad in ("", "much", "+1", "007", "2147483648", "1.5", "-"):
        refusal = (
            "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: "
            f'Invalid value: "{bad}": must be a 32bit integer'
        )
        assert said(POD, costs(bad)) == [refusal]
        assert said_of_update(POD, costs(bad), costs("1")) == [refusal]
        assert said_of_update(POD, costs(bad), costs("much")) == []


SPEC_RULE = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
    "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative); changed: "
)
TOLERATION = {"key": "a", "operator": "Exists"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (web(), web(image="nginx:2")),
        (pod(activeDeadlineSeconds=20), pod(activeDeadlineSeconds=10)),
        (pod(), pod(tolerations=[TOLERATION])),
        (pod(schedulingGates=[{"name": "x"}]), pod()),
        (pod(), named(labels={"a": "b"})),
    ],
)
def test_what_may_change_of_a_pod(old: Doc, new: Doc) -> None:
    assert said_of_update(POD, new, old) == []


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        (web(), web(command=["x"]), SPEC_RULE + "spec.containers[0].command"),
        (pod(), pod(nodeName="n1"), SPEC_RULE + "spec.nodeName"),
        (pod(), pod(containers=[]), "spec.containers: Forbidden: pod updates may not add or remove containers"),
        (web(), web(image=""), "spec.containers[0].image: Required value"),
        (pod(activeDeadlineSeconds=20), pod(),
         "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"),
        (pod(activeDeadlineSeconds=20), pod(activeDeadlineSeconds=30),
         "spec.activeDeadlineSeconds: Invalid value: 30: must be less than or equal to previous value"),
        (pod(tolerations=[TOLERATION]), pod(),
         "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"),
        (pod(), pod(schedulingGates=[{"name": "x"}]),
         "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'x'"),
        (pod(), pod(terminationGracePeriodSeconds=1), SPEC_RULE + "spec.terminationGracePeriodSeconds"),
    ],
)  # fmt: skip
def test_what_may_not_change_of_a_pod(old: Doc, new: Doc, refusal: str) -> None:
    # Changing a pull policy by dropping the container's image changes two fields at once.
    assert refusal in said_of_update(POD, new, old)


def test_no_finalizer_is_added_to_what_is_going_away() -> None:
    old = named(deletionTimestamp="2026-11-21T08:00:00Z", finalizers=["x.org/a"])
    new = named(finalizers=["x.org/a", "x.org/b"])
    assert said_of_update(POD, new, old) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being "
        'deleted, found new finalizers []string{"x.org/b"}'
    ]


def without_selector() -> Doc:
    doc = deployment()
    del doc["spec"]["selector"]
    return doc


@pytest.mark.parametrize(
    ("doc", "refusal"),
    [
        (without_selector(),
         'spec.selector: Required value: add selector.matchLabels {"app":"nginx"}, the labels of spec.template'),
        (deployment(selector={}), "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        (deployment(selector={"matchLabels": {"app": "x"}}),
         'spec.template.metadata.labels: Invalid value: {"app":"nginx"}: `selector` does not match '
         "template `labels`"),
        (deployment(selector={"matchExpressions": [{"key": "app", "operator": "Is"}]}),
         'spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator'),
        (deployment(replicas=-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (deployment(strategy={"type": "Slow"}),
         'spec.strategy.type: Unsupported value: "Slow": supported values: "Recreate", "RollingUpdate"'),
        (deployment(strategy={"type": "Recreate", "rollingUpdate": {}}),
         "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"),
        (deployment(strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
         "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"),
        (deployment(strategy={"rollingUpdate": {"maxSurge": "x"}}),
         'spec.strategy.rollingUpdate.maxSurge: Invalid value: "x": a valid percent string must be a '
         "numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is "
         "'[0-9]+%')"),
        (deployment(progressDeadlineSeconds=5, minReadySeconds=5),
         "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"),
    ],
)  # fmt: skip
def test_deployments(doc: Doc, refusal: str) -> None:
    assert said(DEPLOYMENT, doc) == [refusal]


def test_templates_run_forever() -> None:
    doc = deployment()
    doc["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    assert said(DEPLOYMENT, doc) == [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'
    ]


def test_a_selector_stays() -> None:
    new = deployment(selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})
    [refusal] = said_of_update(DEPLOYMENT, new, deployment())
    assert refusal.startswith("spec.selector: Invalid value: {")
    assert refusal.endswith("}: field is immutable")


@pytest.mark.parametrize(
    ("doc", "refusal"),
    [
        (service(ports=[]), "spec.ports: Required value"),
        (service(ports=[{"port": 0, "targetPort": 1}]),
         "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
        (service(ports=[{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]),
         'spec.ports[1]: Duplicate value: {"port":1,"protocol":"TCP"}'),
        (service(ports=[{"port": 1, "name": "a"}, {"port": 2}]), "spec.ports[1].name: Required value"),
        (service(ports=[{"port": 1, "nodePort": 30001}]),
         "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"),
        (service(type="NodePort", ports=[{"port": 1, "nodePort": 80}]),
         "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range "
         "of valid ports is 30000-32767"),
        (service(type="Round"),
         'spec.type: Unsupported value: "Round": supported values: "ClusterIP", "ExternalName", '
         '"LoadBalancer", "NodePort"'),
        (service(clusterIP="here"),
         'spec.clusterIPs[0]: Invalid value: "here": must be a valid IP address, (e.g. 10.9.8.7 or '
         "2001:db8::ffff)"),
        (service(type="NodePort", clusterIP="None"),
         "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"),
        (service(type="ExternalName"), "spec.externalName: Required value"),
        (service(sessionAffinity="Cookie"),
         'spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'),
        (service(externalTrafficPolicy="Local"),
         'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'),
    ],
)  # fmt: skip
def test_services(doc: Doc, refusal: str) -> None:
    assert said(SERVICE, doc) == [refusal]


def test_headless_services_need_no_ports() -> None:
    assert said(SERVICE, service(clusterIP="None", ports=[])) == []
    assert said(SERVICE, service(type="ExternalName", externalName="x.org", ports=[])) == []


def test_an_address_stays() -> None:
    old = service(clusterIP="10.96.0.10")
    assert said_of_update(SERVICE, service(), old) == []
    new = service(clusterIP="10.96.0.11")
    assert said_of_update(SERVICE, new, old) == [
        'spec.clusterIPs[0]: Invalid value: ["10.96.0.11"]: may not change once set'
    ]


def config(**fields: Any) -> Doc:
    return {"metadata": {"name": "a", "namespace": "default"}, **fields}


def test_config_maps_and_secrets() -> None:
    assert said(CONFIG_MAP, config(data={"a": "b"}, binaryData={"c": "eA=="})) == []
    assert said(CONFIG_MAP, config(data={"a": "b"}, binaryData={"a": "eA=="})) == [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData'
    ]
    assert said(CONFIG_MAP, config(data={"..": "b"})) == [
        "data[..]: Invalid value: \"..\": must not be '..'"
    ]
    assert said(CONFIG_MAP, config(data={"a": "x" * 1_048_577})) == [
        ": Too long: may not be more than 1048576 bytes"
    ]
    assert said(SECRET, config(type="kubernetes.io/tls", data={"tls.crt": ""})) == [
        "data[tls.key]: Required value"
    ]


def test_immutable_data_stays() -> None:
    old = config(immutable=True, data={"a": "b"})
    frozen = "Forbidden: field is immutable when `immutable` is set"
    assert said_of_update(CONFIG_MAP, old, old) == []
    assert said_of_update(CONFIG_MAP, config(data={"a": "c"}), old) == [
        f"immutable: {frozen}", f"data: {frozen}",
    ]  # fmt: skip
    assert said_of_update(SECRET, config(type="a"), config(type="b")) == [
        'type: Invalid value: "a": field is immutable'
    ]


def test_the_clusters_own_kinds() -> None:
    node = {"metadata": {"name": "n1"}, "spec": {"taints": [{"key": "a", "effect": "Maybe"}]}}
    assert said(NODE, node) == [
        'spec.taints[0].effect: Unsupported value: "Maybe": supported values: "NoExecute", '
        '"NoSchedule", "PreferNoSchedule"'
    ]
    assert said(LEASE, config(spec={"leaseDurationSeconds": 0})) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"
    ]
    assert said(EVENT, config(involvedObject={"namespace": "other"})) == [
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace'
    ]
    old = {"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.1.0.0/24"}}
    new = {"metadata": {"name": "n1"}, "spec": {}}
    assert said_of_update(NODE, new, old) == [
        'spec.podCIDR: Forbidden: node updates may not change podCIDR except from "" to valid'
    ]


def test_endpoints_and_slices() -> None:
    assert said(ENDPOINT_SLICE, config(addressType="IPv4", endpoints=[{"addresses": ["::1"]}])) == [
        'endpoints[0].addresses[0]: Invalid value: "::1": must be an IPv4 address'
    ]
    assert said(ENDPOINT_SLICE, config()) == ["addressType: Required value"]
    subset = {"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80}]}
    assert said(ENDPOINTS, config(subsets=[subset])) == [
        'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range '
        "(127.0.0.0/8, ::1/128)"
    ]
    old, new = config(addressType="IPv4"), config(addressType="IPv6")
    assert said_of_update(ENDPOINT_SLICE, new, old) == [
        'addressType: Invalid value: "IPv6": field is immutable'
    ]


def test_metadata_is_judged_again_where_it_changes_and_there_alone() -> None:
    kept = pod()
    kept["metadata"]["labels"] = {"app": "not a value of today"}
    changed = orjson.loads(orjson.dumps(kept))
    changed["metadata"]["annotations"] = {"note": "1"}
    assert said_of_update(POD, kept, kept) == []
    assert [one.partition(":")[0] for one in said_of_update(POD, changed, kept)] == [
        "metadata.labels"
    ]
