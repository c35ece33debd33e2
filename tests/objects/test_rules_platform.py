"""What is refused of networks, storage, roles, certificates, flow control and devices, and in
which words. Each case is one change to a valid object."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from longshore.core.objects import kinds, meta
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.rules import validate_create, validate_update

from .valid import valid


def changed(kind: Kind, **fields: Any) -> Doc:
    """A valid object with fields merged in: spec.x is given as spec={"x": ...}; None removes."""
    doc: Doc = orjson.loads(orjson.dumps(valid(kind)))
    for field, value in fields.items():
        doc[field] = {**doc.get(field, {}), **value} if isinstance(value, dict) else value
        if isinstance(value, dict):
            doc[field] = {key: one for key, one in doc[field].items() if one is not None}
    return doc


def said(kind: Kind, doc: Doc) -> list[str]:
    return [f"{c.field}: {c.message}" for c in validate_create(kind, default(kind, doc))]


def said_of_update(kind: Kind, **fields: Any) -> list[str]:
    old, new = default(kind, changed(kind)), default(kind, changed(kind, **fields))
    causes = validate_update(kind, meta.prepare_update(kind, new, old), old)
    return [f"{cause.field}: {cause.message}" for cause in causes]


def named(name: str) -> Doc:
    return {"name": name}


SERVICE = {"service": {"name": "web", "port": {"number": 80}}}


def one_path(**path: Any) -> Doc:
    return {"rules": [{"http": {"paths": [{"backend": SERVICE, **path}]}}]}


def peer(**one: Any) -> Doc:
    return {"ingress": [{"from": [one]}]}


def port(**one: Any) -> Doc:
    return {"ingress": [{"ports": [one]}]}


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (kinds.INGRESS, {"spec": {"defaultBackend": None}},
         "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"),
        (kinds.INGRESS, {"spec": one_path(path="/")},
         "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"),
        (kinds.INGRESS, {"spec": one_path(path="a", pathType="Prefix")},
         'spec.rules[0].http.paths[0].path: Invalid value: "a": must be an absolute path'),
        (kinds.INGRESS, {"spec": {"rules": [{"host": "10.0.0.1"}]}},
         'spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'),
        (kinds.INGRESS_CLASS, {"spec": {"controller": "plain"}},
         'spec.controller: Invalid value: "plain": must be a domain-prefixed path (such as '
         '"acme.io/foo")'),
        (kinds.NETWORK_POLICY, {"spec": peer()},
         "spec.ingress[0].from[0]: Required value: must specify a peer"),
        (kinds.NETWORK_POLICY, {"spec": peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]})},
         'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict '
         "subset of `cidr`"),
        (kinds.NETWORK_POLICY, {"spec": port(port="http", endPort=90)},
         "spec.ingress[0].ports[0].endPort: Invalid value: 90: may not be specified when `port` is "
         "non-numeric"),
        (kinds.IP_ADDRESS, {"metadata": named("mine")},
         'metadata.name: Invalid value: "mine": must be a valid IP address, (e.g. 10.9.8.7 or '
         "2001:db8::ffff)"),
        (kinds.SERVICE_CIDR, {"spec": {"cidrs": ["10.0.0.1/8"]}},
         'spec.cidrs[0]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix '
         "length"),
        (kinds.STORAGE_CLASS, {"volumeBindingMode": "Later"},
         'volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", '
         '"WaitForFirstConsumer"'),
        (kinds.VOLUME_ATTACHMENT, {"spec": {"source": {}}},
         "spec.source: Required value: must specify exactly one of inlineVolumeSpec and "
         "persistentVolumeName"),
        (kinds.VOLUME_ATTRIBUTES_CLASS, {"parameters": None},
         "parameters: Required value: must contain at least one key/value pair"),
        (kinds.ROLE, {"metadata": named("a/b")},
         "metadata.name: Invalid value: \"a/b\": may not contain '/'"),
        (kinds.ROLE, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
         'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to '
         "non-resource URLs"),
        (kinds.CLUSTER_ROLE_BINDING, {"roleRef": {"kind": "Role"}},
         'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'),
        (kinds.CLUSTER_ROLE_BINDING, {"subjects": [{"kind": "ServiceAccount", "name": "x"}]},
         "subjects[0].namespace: Required value"),
        (kinds.CSR, {"spec": {"request": "eA=="}},
         'spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST'),
        (kinds.CSR, {"spec": {"signerName": "plain"}},
         'spec.signerName: Invalid value: "plain": must be a fully qualified domain and path of '
         "the form 'example.com/signer-name'"),
        (kinds.CSR, {"spec": {"usages": []}}, "spec.usages: Required value"),
        (kinds.CLUSTER_TRUST_BUNDLE, {"spec": {"trustBundle": "x"}},
         'spec.trustBundle: Invalid value: "<value omitted>": at least one trust anchor must be '
         "provided"),
        (kinds.PRIORITY_CLASS, {"value": 1_000_000_001},
         "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"),
        (kinds.PRIORITY_CLASS, {"metadata": named("system-mine")},
         "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for "
         "system use only. error: system-mine is not a known system priority class"),
        (kinds.RUNTIME_CLASS, {"handler": ""}, "handler: Required value"),
        (kinds.FLOW_SCHEMA, {"spec": {"matchingPrecedence": 1}},
         "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have "
         "matchingPrecedence 1"),
        (kinds.PRIORITY_LEVEL, {"spec": {"limited": {"limitResponse": {"type": "Queue"}}}},
         "spec.limited.limitResponse.queuing: Required value: must not be empty if "
         "limited.limitResponse.type is Limited"),
        (kinds.RESOURCE_CLAIM, {"spec": {"devices": {"requests": [{"name": "a"}]}}},
         "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` "
         "is required"),
        (kinds.RESOURCE_SLICE, {"spec": {"nodeName": None}},
         "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, "
         "`perDeviceNodeSelection` is required"),
        (kinds.STORAGE_VERSION_MIGRATION, {"spec": {"resource": {}}},
         "spec.resource.resource: Required value: resource is required to be set"),
    ],
)  # fmt: skip
def test_refused_in_upstreams_words(kind: Kind, fields: Doc, words: str) -> None:
    doc = changed(kind, **fields)
    doc = {key: value for key, value in doc.items() if value is not None}
    assert words in said(kind, doc)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (kinds.PRIORITY_CLASS, {"value": 11}, "value: Forbidden: may not be changed in an update."),
        (kinds.ROLE_BINDING, {"roleRef": {"name": "edit"}}, "roleRef: Invalid value:"),
        (kinds.STORAGE_CLASS, {"parameters": {"a": "b"}}, "parameters: Invalid value:"),
        (kinds.VOLUME_ATTACHMENT, {"spec": {"nodeName": "n2"}}, "spec: Invalid value:"),
        (kinds.VOLUME_ATTRIBUTES_CLASS, {"driverName": "e.example.com"},
         "driverName: Forbidden: updates to driverName are forbidden."),
        (kinds.RUNTIME_CLASS, {"handler": "kata"}, "handler: Invalid value:"),
        (kinds.SERVICE_CIDR, {"spec": {"cidrs": ["10.2.0.0/16"]}}, "spec.cidrs[0]: Invalid value:"),
        (kinds.IP_ADDRESS, {"spec": {"parentRef": {"resource": "pods", "name": "x"}}},
         "spec.parentRef: Invalid value:"),
        (kinds.RESOURCE_CLAIM, {"spec": {"devices": {}}}, "spec: Invalid value:"),
        (kinds.CSI_STORAGE_CAPACITY, {"storageClassName": "slow"},
         "storageClassName: Invalid value:"),
        (kinds.INGRESS_CLASS, {"spec": {"controller": "a.b/c"}}, "spec.controller: Invalid value:"),
    ],
)  # fmt: skip
def test_what_may_not_change(kind: Kind, fields: Doc, words: str) -> None:
    told = said_of_update(kind, **fields)
    assert len(told) == 1
    assert told[0].startswith(words)


def test_all_causes_at_once() -> None:
    doc = changed(kinds.ROLE_BINDING, roleRef={"kind": "X", "name": ""}, subjects=[{"kind": "Y"}])
    assert [one.partition(":")[0] for one in said(kinds.ROLE_BINDING, doc)] == [
        "roleRef.kind", "roleRef.name", "subjects[0].name", "subjects[0].kind",
    ]  # fmt: skip


def test_defaults() -> None:
    policy = default(kinds.NETWORK_POLICY, {"spec": {"egress": [{"ports": [{"port": 1}]}]}})
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["egress"][0]["ports"] == [{"port": 1, "protocol": "TCP"}]
    storage = default(kinds.STORAGE_CLASS, {"provisioner": "p"})
    assert (storage["reclaimPolicy"], storage["volumeBindingMode"]) == ("Delete", "Immediate")
    binding = default(
        kinds.ROLE_BINDING, {"subjects": [{"kind": "User"}, {"kind": "ServiceAccount"}]}
    )
    groups = [subject.get("apiGroup") for subject in binding["subjects"]]
    assert groups == ["rbac.authorization.k8s.io", None]
    schema = default(kinds.FLOW_SCHEMA, {"spec": {}})
    assert schema["spec"]["matchingPrecedence"] == 1000
    queuing: Doc = {"type": "Queue", "queuing": {}}
    level = default(kinds.PRIORITY_LEVEL, {"spec": {"limited": {"limitResponse": queuing}}})
    assert level["spec"]["limited"]["nominalConcurrencyShares"] == 30
    assert queuing["queuing"] == {"queues": 64, "handSize": 8, "queueLengthLimit": 50}
