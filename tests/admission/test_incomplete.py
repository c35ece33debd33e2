"""Admission comes before the rules: what lacks a part is refused there, and is no fault of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind

from ..doors.rig import Kube
from .rig import admitting, make, path_of

EVERYTHING = (
    "LimitPodHardAntiAffinityTopology", "AlwaysPullImages", "PodNodeSelector",
    "PodTolerationRestriction", "ExtendedResourceToleration", "OwnerReferencesPermissionEnforcement",
    "DenyServiceExternalIPs",
)  # fmt: skip
_ENV = [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
_EMPTY: tuple[Any, ...] = (None, {}, "")
_TERM = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}
_CONTAINER: Doc = {
    "name": "c", "image": "i", "env": _ENV, "envFrom": [{"secretRef": {"name": "s"}}],
    "resources": {"requests": {"cpu": "1", "example.com/gpu": "1"},
                  "limits": {"cpu": "1", "example.com/gpu": "1"}},
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    "ports": [{"containerPort": 80, "hostPort": 80}],
    "livenessProbe": {"httpGet": {"port": 80, "host": "h"}},
    "lifecycle": {"preStop": {"tcpSocket": {"port": 1, "host": "h"}}},
    "securityContext": {"capabilities": {"add": ["X"], "drop": ["ALL"]}, "procMount": "Default",
                        "seccompProfile": {"type": "RuntimeDefault"},
                        "appArmorProfile": {"type": "RuntimeDefault"},
                        "seLinuxOptions": {"user": "u"},
                        "windowsOptions": {"hostProcess": False}},
}  # fmt: skip
POD: Doc = {
    "metadata": {"name": "p", "annotations": {"a": "b"}, "labels": {"a": "b"},
                 "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u",
                                      "blockOwnerDeletion": True}]},
    "spec": {
        "containers": [_CONTAINER], "initContainers": [{**_CONTAINER, "name": "i"}],
        "volumes": [{"name": "v", "secret": {"secretName": "s"}},
                    {"name": "w", "projected": {"sources": [{"secret": {"name": "s"}}]}},
                    {"name": "x", "persistentVolumeClaim": {"claimName": "c"}}],
        "serviceAccountName": "robot", "imagePullSecrets": [{"name": "s"}],
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute"}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_TERM]}},
        "securityContext": {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]},
    },
}  # fmt: skip
CLAIM: Doc = {
    "metadata": {"name": "c"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
SERVICE: Doc = {
    "metadata": {"name": "s"},
    "spec": {"ports": [{"port": 80, "nodePort": 30080}], "type": "NodePort", "externalIPs": ["1.2.3.4"]},
}  # fmt: skip
QUOTA: Doc = {"metadata": {"name": "q2"}, "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}}
LIMITS: Doc = {
    "metadata": {"name": "l2"},
    "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "1"}}]},
}
TRUST: Doc = {"metadata": {"name": "a:b:c"}, "spec": {"signerName": "a/b", "trustBundle": "x"}}
PRIORITY: Doc = {"metadata": {"name": "v"}, "value": 1, "globalDefault": True}
SPACE: Doc = {"metadata": {"name": "n", "labels": {"pod-security.kubernetes.io/warn": "baseline"}}}
_TEMPLATE: Doc = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"},
}
WORKLOAD: Doc = {
    "metadata": {"name": "w"},
    "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": _TEMPLATE},
}
SCHEDULED: Doc = {
    "metadata": {"name": "j"},
    "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": _TEMPLATE}}},
}
REQUEST: Doc = {"metadata": {"name": "r"}, "spec": {"request": "eA==", "signerName": "a/b"}}


def parts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything within a document."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, below in inner:
        yield (*path, key)
        yield from parts(below, (*path, key))


def damaged(doc: Doc) -> Iterator[Doc]:
    """The document without one of its parts, or with nothing in it."""
    for path in parts(doc):
        for empty in _EMPTY:
            copy: Any = orjson.loads(orjson.dumps(doc))
            holder = copy
            for key in path[:-1]:
                holder = holder[key]
            if empty is None:
                del holder[path[-1]]
            else:
                holder[path[-1]] = empty
            yield copy


async def furnished(api: Kube) -> None:
    """A namespace where everything is looked at."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await make(api, kinds.NAMESPACE, "team", metadata={"labels": labels})
    annotations = {"kubernetes.io/enforce-mountable-secrets": "true"}
    await make(
        api, kinds.SERVICE_ACCOUNT, "robot", "team", metadata={"annotations": annotations},
        secrets=[{"name": "s"}, {}], imagePullSecrets=[{"name": "s"}, {}],
    )  # fmt: skip
    hard = {"requests.cpu": "1", "pods": "1", "services.nodeports": "1", "requests.storage": "1Gi"}
    await make(api, kinds.RESOURCE_QUOTA, "q", "team", spec={"hard": hard})
    bounds = {"max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "1"}}
    limits = [{"type": type_, **bounds} for type_ in ("Container", "Pod")]
    await make(api, kinds.LIMIT_RANGE, "l", "team", spec={"limits": limits})


async def test_what_lacks_a_part_is_refused_and_not_stumbled_over() -> None:
    async with admitting(*EVERYTHING) as api:
        await furnished(api)
        subjects: list[tuple[Kind, Doc]] = [
            (kinds.POD, POD), (kinds.PVC, CLAIM), (kinds.SERVICE, SERVICE),
            (kinds.RESOURCE_QUOTA, QUOTA), (kinds.LIMIT_RANGE, LIMITS), (kinds.CSR, REQUEST),
            (kinds.CLUSTER_TRUST_BUNDLE, TRUST), (kinds.PRIORITY_CLASS, PRIORITY),
            (kinds.NAMESPACE, SPACE), (kinds.NODE, {"metadata": {"name": "n"}, "spec": {}}),
            (kinds.INGRESS, {"metadata": {"name": "i"}, "spec": {"rules": [{"host": "h"}]}}),
            (kinds.DEPLOYMENT, WORKLOAD), (kinds.CRON_JOB, SCHEDULED),
        ]  # fmt: skip
        tried = 0
        for kind, doc in subjects:
            path = f"{path_of(kind, 'team')}?dryRun=All"
            for one in damaged(doc):
                answer = await api("POST", path, one)
                assert answer.status in (201, 400, 403, 422), (one, answer.doc)
                tried += 1
        assert tried > 500


async def test_replacing_by_what_lacks_a_part() -> None:
    plain = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    subjects: list[tuple[Kind, Doc]] = [
        (kinds.POD, plain), (kinds.PVC, CLAIM), (kinds.SERVICE, SERVICE), (kinds.NAMESPACE, SPACE),
        (kinds.PRIORITY_CLASS, PRIORITY), (kinds.CLUSTER_TRUST_BUNDLE, TRUST), (kinds.CSR, REQUEST),
        (kinds.RESOURCE_QUOTA, QUOTA),
    ]  # fmt: skip
    plugins = [name for name in EVERYTHING if name != "DenyServiceExternalIPs"]
    async with admitting(*plugins) as api:
        for kind, doc in subjects:
            await api("POST", path_of(kind), doc)
            path = f"{path_of(kind)}/{doc['metadata']['name']}"
            for part in ("", "/approval", "/status") if kind is kinds.CSR else ("",):
                for one in damaged(doc):
                    answer = await api("PUT", f"{path}{part}?dryRun=All", one)
                    assert answer.status in (200, 201, 400, 403, 404, 409, 422), (one, answer.doc)


async def test_without_a_level_the_same() -> None:
    async with admitting(*EVERYTHING) as api:
        await make(api, kinds.SERVICE_ACCOUNT, "robot", imagePullSecrets=[{}])
        for one in damaged(POD):
            answer = await api("POST", f"{path_of(kinds.POD)}?dryRun=All", one)
            assert answer.status in (201, 400, 403, 422), (one, answer.doc)
