"""The smallest valid object of every kind that is kept, as a client sends it. What has no entry is
valid with a name alone."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind

_LABELS = {"app": "web"}
_POD_SPEC = {"containers": [{"name": "main", "image": "nginx:1.27"}]}
_SELECTED: Doc = {
    "selector": {"matchLabels": _LABELS},
    "template": {"metadata": {"labels": _LABELS}, "spec": _POD_SPEC},
}
_ONCE = {**_POD_SPEC, "restartPolicy": "Never"}
_CLAIM: Doc = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
}
_ROLE_REF = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
_RULE = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
_FLOW_RULE = {
    "subjects": [{"kind": "Group", "group": {"name": "me"}}],
    "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}],
}
_DEVICES = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu"}}]}}
_TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def _signing_request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "me")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


_BODIES: dict[Kind, Any] = {
    kinds.ENDPOINT_SLICE: {"addressType": "IPv4", "endpoints": []},
    kinds.EVENT: {"involvedObject": {"namespace": "default"}, "reason": "Tested"},
    kinds.POD: {"spec": _POD_SPEC},
    kinds.POD_TEMPLATE: {"template": {"metadata": {"labels": _LABELS}, "spec": _POD_SPEC}},
    kinds.REPLICATION_CONTROLLER: {"spec": {**_SELECTED, "selector": _LABELS}},
    kinds.SERVICE: {"spec": {"ports": [{"port": 80}]}},
    kinds.PVC: {"spec": _CLAIM},
    kinds.PV: {"spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/tmp"},
    }},
    kinds.CONTROLLER_REVISION: {"revision": 1, "data": {}},
    kinds.DAEMON_SET: {"spec": _SELECTED},
    kinds.DEPLOYMENT: {"spec": _SELECTED},
    kinds.REPLICA_SET: {"spec": _SELECTED},
    kinds.STATEFUL_SET: {"spec": {**_SELECTED, "serviceName": "web"}},
    kinds.JOB: {"spec": {"template": {"spec": _ONCE}}},
    kinds.CRON_JOB: {"spec": {
        "schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": _ONCE}}},
    }},
    kinds.HPA: {"spec": {"scaleTargetRef": _TARGET, "maxReplicas": 3}},
    kinds.PDB: {"spec": {"minAvailable": 1, "selector": {"matchLabels": _LABELS}}},
    kinds.INGRESS: {"spec": {
        "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
    }},
    kinds.INGRESS_CLASS: {"spec": {"controller": "example.com/controller"}},
    kinds.NETWORK_POLICY: {"spec": {"podSelector": {}}},
    kinds.IP_ADDRESS: {"spec": {
        "parentRef": {"resource": "services", "namespace": "default", "name": "web"},
    }},
    kinds.SERVICE_CIDR: {"spec": {"cidrs": ["10.1.0.0/16"]}},
    kinds.CSI_DRIVER: {"spec": {}},
    kinds.CSI_NODE: {"spec": {"drivers": [{"name": "d.example.com", "nodeID": "n1"}]}},
    kinds.CSI_STORAGE_CAPACITY: {"storageClassName": "fast", "capacity": "1Gi"},
    kinds.STORAGE_CLASS: {"provisioner": "example.com/disk"},
    kinds.VOLUME_ATTACHMENT: {"spec": {
        "attacher": "d.example.com", "nodeName": "n1", "source": {"persistentVolumeName": "pv"},
    }},
    kinds.VOLUME_ATTRIBUTES_CLASS: {"driverName": "d.example.com", "parameters": {"a": "b"}},
    kinds.ROLE: {"rules": [_RULE]},
    kinds.CLUSTER_ROLE: {"rules": [_RULE]},
    kinds.ROLE_BINDING: {"roleRef": _ROLE_REF},
    kinds.CLUSTER_ROLE_BINDING: {"roleRef": _ROLE_REF},
    kinds.CSR: {"spec": {
        "request": _signing_request(), "signerName": "example.com/signer", "usages": ["client auth"],
    }},
    kinds.POD_CERTIFICATE_REQUEST: {"spec": {
        "signerName": "example.com/signer", "podName": "p", "podUID": "u",
        "serviceAccountName": "s", "serviceAccountUID": "u", "nodeName": "n", "nodeUID": "u",
        "maxExpirationSeconds": 3600, "stubPKCS10Request": "eA==",
    }},
    kinds.LEASE: {"spec": {"holderIdentity": "me"}},
    kinds.RUNTIME_CLASS: {"handler": "runc"},
    kinds.PRIORITY_CLASS: {"value": 10},
    kinds.FLOW_SCHEMA: {"spec": {
        "priorityLevelConfiguration": {"name": "mine"}, "rules": [_FLOW_RULE],
    }},
    kinds.PRIORITY_LEVEL: {"spec": {
        "type": "Limited", "limited": {"limitResponse": {"type": "Reject"}},
    }},
    kinds.DEVICE_CLASS: {"spec": {}},
    kinds.OFFER: {"spec": {"schedulerName": "mine"}},
    kinds.CLUSTER_QUEUE: {"spec": {}},
    kinds.LOCAL_QUEUE: {"spec": {"clusterQueue": "all"}},
    kinds.USAGE_RECORD: {"spec": {"project": "shop", "series": []}},
    kinds.WORKLOAD_USAGE: {"spec": {"targetRef": {
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "web",
    }}},
    kinds.POD_GROUP: {"spec": {"schedulingPolicy": {"gang": {"minCount": 2}}}},
    kinds.DEVICE_TAINT_RULE: {"spec": {"taint": {"key": "a", "effect": "NoSchedule"}}},
    kinds.RESOURCE_CLAIM: {"spec": _DEVICES},
    kinds.RESOURCE_CLAIM_TEMPLATE: {"spec": {"spec": _DEVICES}},
    kinds.RESOURCE_SLICE: {"spec": {
        "driver": "d.example.com", "nodeName": "n1",
        "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
    }},
    kinds.STORAGE_VERSION_MIGRATION: {"spec": {"resource": {"resource": "pods"}}},
}  # fmt: skip
# Names that are more than names.
_NAMES = {kinds.IP_ADDRESS: "10.96.0.{}"}


def name_of(kind: Kind, number: int) -> str:
    """A name that an object of the kind may have."""
    return _NAMES.get(kind, "mine-{}").format(number)


def valid(kind: Kind, number: int = 1) -> Doc:
    """A new object; others of other numbers may be beside it."""
    metadata: Doc = {"name": name_of(kind, number), "labels": {"test": "operations"}}
    head = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}
    if kind is kinds.CLUSTER_TRUST_BUNDLE:
        return {**head, "spec": {"trustBundle": _authority()}}
    return {**head, **_BODIES.get(kind, {})}


def _authority() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
