"""A node reads what its own pods need and writes about itself: through the door, with two nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.errors import Forbidden
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.node_tokens import check_token_request
from longshore.core.registry.client import Bind
from tests.doors.rig import ADMIN, Kube, kube, pod
from tests.permission.rig import grant, made, node, refused, rule

CORE = "/api/v1"
HERE = f"{CORE}/namespaces/default"
PODS = f"{HERE}/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
MERGE = {"content_type": "application/merge-patch+json"}
UNRELATED = "no relationship found between node 'n1' and this object"


def needing(name: str, **spec: Any) -> Doc:
    made_of = pod(name)
    made_of["spec"] |= spec
    return made_of


async def placed(ask: Kube, on: str, doc: Doc) -> Doc:
    there = await made(ask, PODS, doc)
    await ask.registry.bind(ADMIN, Bind("default", there["metadata"]["name"], on))
    return there


@pytest.fixture
async def ask() -> AsyncIterator[Kube]:
    """n1 and n2 each run a pod that needs a Secret and a ConfigMap; n1 asks."""
    async with kube() as door:
        await made(door, f"{CORE}/namespaces", {"metadata": {"name": "kube-node-lease"}})
        await made(door, f"{HERE}/serviceaccounts", {"metadata": {"name": "robot"}})
        for number in ("1", "2"):
            await made(door, f"{CORE}/nodes", {"metadata": {"name": f"n{number}"}})
            for plural in ("secrets", "configmaps"):
                await made(door, f"{HERE}/{plural}", {"metadata": {"name": f"of-{number}"}})
            source = [{"secretRef": {"name": f"of-{number}"}}]
            volume = {"name": "v", "configMap": {"name": f"of-{number}"}}
            wanted = needing(f"p{number}", volumes=[volume], serviceAccountName="robot")
            wanted["spec"]["containers"][0]["envFrom"] = source
            await placed(door, f"n{number}", wanted)
        door.user = node("n1")
        yield door


async def status_of(ask: Kube, method: str, path: str, body: Any = None, **more: str) -> int:
    return (await ask(method, path, body, **more)).status


@pytest.mark.parametrize("plural", ["secrets", "configmaps"])
async def test_what_its_pods_refer_to_and_nothing_else(ask: Kube, plural: str) -> None:
    assert await status_of(ask, "GET", f"{HERE}/{plural}/of-1") == 200
    answer = await ask("GET", f"{HERE}/{plural}/of-2")
    refused(answer, f'{plural} "of-2" is forbidden: User "system:node:n1"', UNRELATED)
    refused(await ask("GET", f"{HERE}/{plural}/nowhere"), UNRELATED)
    refused(await ask("GET", f"{HERE}/{plural}"), "No Object name found")
    refused(await ask("GET", f"{CORE}/{plural}"), "can only read namespaced object of this type")
    assert await status_of(ask, "GET", f"{HERE}/{plural}?fieldSelector=metadata.name=of-1") == 200
    refused(await ask("GET", f"{HERE}/{plural}?fieldSelector=metadata.name=of-2"), UNRELATED)
    refused(await ask("PUT", f"{HERE}/{plural}/of-1", {}), "can only read resources of this type")


async def test_reach_ends_with_the_pod(ask: Kube) -> None:
    assert await status_of(ask, "GET", f"{HERE}/secrets/of-1") == 200
    ask.user = ADMIN
    assert await status_of(ask, "DELETE", f"{PODS}/p1?gracePeriodSeconds=0") == 200
    ask.user = node("n1")
    refused(await ask("GET", f"{HERE}/secrets/of-1"), UNRELATED)


async def test_reach_begins_with_the_binding_and_grows_with_debugging(ask: Kube) -> None:
    ask.user = ADMIN
    extra = {"metadata": {"name": "extra"}}
    await made(ask, f"{HERE}/secrets", extra)
    later = needing("later", imagePullSecrets=[{"name": "extra"}])
    await made(ask, PODS, later)
    ask.user = node("n1")
    refused(await ask("GET", f"{HERE}/secrets/extra"), UNRELATED)
    await ask.registry.bind(ADMIN, Bind("default", "later", "n1"))
    assert await status_of(ask, "GET", f"{HERE}/secrets/extra") == 200
    debugger = {"name": "d", "image": "x", "envFrom": [{"secretRef": {"name": "of-2"}}]}
    ask.user = ADMIN
    patch = {"spec": {"ephemeralContainers": [debugger]}}
    answer = await ask("PATCH", f"{PODS}/later/ephemeralcontainers", patch, **MERGE)
    assert answer.status == 200, answer.doc
    ask.user = node("n1")
    assert await status_of(ask, "GET", f"{HERE}/secrets/of-2") == 200


async def test_volumes_bring_their_secrets(ask: Kube) -> None:
    claim = {"persistentVolumeClaim": {"claimName": "data"}, "name": "v"}
    ask.user = ADMIN
    await placed(ask, "n1", needing("stateful", volumes=[claim]))
    await made(ask, f"{HERE}/persistentvolumeclaims", claim_doc("data", "disk"))
    source = {
        "driver": "d.example.com", "volumeHandle": "h",
        "nodeStageSecretRef": {"name": "of-2", "namespace": "default"},
        "controllerPublishSecretRef": {"name": "hidden", "namespace": "default"},
    }  # fmt: skip
    for name in ("disk", "other"):
        ref = {"namespace": "default", "name": "data" if name == "disk" else "else"}
        await made(ask, f"{CORE}/persistentvolumes", volume_doc(name, ref, source))
    ask.user = node("n1")
    assert await status_of(ask, "GET", f"{HERE}/persistentvolumeclaims/data") == 200
    assert await status_of(ask, "GET", f"{CORE}/persistentvolumes/disk") == 200
    refused(await ask("GET", f"{CORE}/persistentvolumes/other"), UNRELATED)
    assert await status_of(ask, "GET", f"{HERE}/secrets/of-2") == 200
    refused(await ask("GET", f"{HERE}/secrets/hidden"), UNRELATED)


def claim_doc(name: str, volume: str) -> Doc:
    spec = {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        "volumeName": volume, "storageClassName": "",
    }  # fmt: skip
    return {"metadata": {"name": name}, "spec": spec}


def volume_doc(name: str, claim: Doc, source: Doc) -> Doc:
    spec = {
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "claimRef": claim,
        "csi": source, "storageClassName": "",
    }  # fmt: skip
    return {"metadata": {"name": name}, "spec": spec}


async def test_pods_are_listed_by_node(ask: Kube) -> None:
    why = "can only list/watch pods with spec.nodeName field selector"
    answer = await ask("GET", f"{CORE}/pods?fieldSelector=spec.nodeName=n1")
    assert [one["metadata"]["name"] for one in answer.doc["items"]] == ["p1"]
    refused(await ask("GET", f"{CORE}/pods"), why)
    refused(await ask("GET", f"{CORE}/pods?fieldSelector=spec.nodeName=n2"), why)
    refused(await ask("GET", f"{CORE}/pods?fieldSelector=spec.nodeName!=n1"), why)
    refused(await ask("GET", f"{CORE}/pods?watch=true"), why)
    assert await status_of(ask, "GET", f"{PODS}/p1") == 200
    refused(await ask("GET", f"{PODS}/p2"), UNRELATED)
    for plural in ("endpointslices", "namespaces"):
        root = "/apis/discovery.k8s.io/v1" if plural == "endpointslices" else CORE
        expected = 200 if plural == "endpointslices" else 403
        assert await status_of(ask, "GET", f"{root}/{plural}") == expected


async def test_a_pod_of_another_node_is_not_touched(ask: Kube) -> None:
    status = {"status": {"phase": "Running"}}
    assert await status_of(ask, "PATCH", f"{PODS}/p1/status", status, **MERGE) == 200
    answer = await ask("PATCH", f"{PODS}/p2/status", status, **MERGE)
    refused(
        answer, 'node "n1" can only update pod status for pods with spec.nodeName set to itself'
    )
    labels = {"metadata": {"labels": {"app": "victim"}}}
    answer = await ask("PATCH", f"{PODS}/p1/status", labels, **MERGE)
    refused(answer, 'node "n1" cannot update labels through pod status')
    refused(await ask("PATCH", f"{PODS}/p1", labels, **MERGE), "cannot patch resource")
    answer = await ask("DELETE", f"{PODS}/p2?gracePeriodSeconds=0")
    refused(answer, 'node "n1" can only delete pods with spec.nodeName set to itself')
    eviction = {"metadata": {"name": "p2"}}
    answer = await ask("POST", f"{PODS}/p2/eviction", eviction)
    refused(answer, "node n1 can only evict pods with spec.nodeName set to itself")
    assert await status_of(ask, "POST", f"{PODS}/p1/eviction", {"metadata": {"name": "p1"}}) == 201


async def test_only_mirror_pods_are_made(ask: Kube) -> None:
    refused(await ask("POST", PODS, pod("mine")), "can only create mirror pods")
    mirror = pod("static", annotations={"kubernetes.io/config.mirror": "1"})
    refused(await ask("POST", PODS, mirror), "spec.nodeName set to itself")
    mirror["spec"]["nodeName"] = "n1"
    refused(await ask("POST", PODS, mirror), "with an owner reference set to itself")
    found = ask.registry.cache.get(kinds.NODE, "", "n1")
    assert found is not None
    owner = {
        "apiVersion": "v1", "kind": "Node", "name": "n1", "controller": True, "uid": "another",
    }  # fmt: skip
    mirror["metadata"]["ownerReferences"] = [owner]
    refused(await ask("POST", PODS, mirror), "UID mismatch")
    owner["uid"] = found["metadata"]["uid"]
    settings = {"name": "v", "configMap": {"name": "of-2"}}
    sly = mirror | {"spec": mirror["spec"] | {"volumes": [settings]}}
    refused(await ask("POST", PODS, sly), 'node "n1" can not create pods that reference configmaps')
    assert await status_of(ask, "POST", PODS, mirror) == 201


async def test_only_its_own_node(ask: Kube) -> None:
    nodes = f"{CORE}/nodes"
    assert await status_of(ask, "GET", f"{nodes}/n1") == 200
    refused(await ask("GET", f"{nodes}/n2"), "node 'n1' cannot read 'n2', only its own Node object")
    refused(await ask("GET", nodes), "node 'n1' cannot read all nodes, only its own Node object")
    refused(await ask("DELETE", f"{nodes}/n1"), 'cannot delete resource "nodes"')
    for path in (f"{nodes}/n2", f"{nodes}/n2/status"):
        answer = await ask("PATCH", path, {"metadata": {"annotations": {"a": "b"}}}, **MERGE)
        refused(answer, 'node "n1" is not allowed to modify node "n2"')
    answer = await ask("POST", nodes, {"metadata": {"name": "n3"}})
    refused(answer, 'node "n1" is not allowed to modify node "n3"')


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        ("node-restriction.kubernetes.io/team", False),
        ("sub.node-restriction.kubernetes.io/team", False),
        ("node-role.kubernetes.io/control-plane", False),
        ("example.k8s.io/x", False),
        ("kubernetes.io/os", True),
        ("topology.kubernetes.io/zone", True),
        ("node.kubernetes.io/anything", True),
        ("example.com/rack", True),
        ("rack", True),
    ],
)
async def test_labels_that_steer_pods_are_not_its_own(ask: Kube, label: str, allowed: bool) -> None:
    patch = {"metadata": {"labels": {label: "x"}}}
    answer = await ask("PATCH", f"{CORE}/nodes/n1", patch, **MERGE)
    if allowed:
        assert answer.status == 200, answer.doc
    else:
        refused(answer, f"is not allowed to modify labels: {label}")
    ask.user = node("n9")
    answer = await ask(
        "POST", f"{CORE}/nodes", {"metadata": {"name": "n9", "labels": {label: "x"}}}
    )
    assert (answer.status == 201) is allowed
    if not allowed:
        refused(answer, f"is not allowed to set the following labels: {label}")


async def test_taints_and_owners_are_not_its_own(ask: Kube) -> None:
    path = f"{CORE}/nodes/n1"
    taint = {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}
    refused(await ask("PATCH", path, taint, **MERGE), 'node "n1" is not allowed to modify taints')
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "u"}
    patch = {"metadata": {"ownerReferences": [owner]}}
    answer = await ask("PATCH", path, patch, **MERGE)
    refused(answer, 'node "n1" is not allowed to modify ownerReferences')


async def test_only_its_own_lease(ask: Kube) -> None:
    assert await status_of(ask, "POST", LEASES, {"metadata": {"name": "n1"}}) == 201
    why = "can only access node lease with the same name as the requesting node"
    refused(await ask("POST", LEASES, {"metadata": {"name": "n2"}}), why)
    refused(await ask("GET", f"{LEASES}/n2"), why)
    assert await status_of(ask, "GET", f"{LEASES}/n1") == 200
    elsewhere = LEASES.replace("kube-node-lease", "default")
    refused(await ask("POST", elsewhere, {"metadata": {"name": "n1"}}), '"kube-node-lease"')
    csi = "/apis/storage.k8s.io/v1/csinodes"
    body = {"metadata": {"name": "n2"}, "spec": {"drivers": []}}
    refused(await ask("POST", csi, body), "can only access CSINode with the same name")


async def test_accounts_are_those_of_its_pods(ask: Kube) -> None:
    assert await status_of(ask, "GET", f"{HERE}/serviceaccounts/robot") == 200
    refused(await ask("GET", f"{HERE}/serviceaccounts/default"), UNRELATED)
    refused(await ask("GET", f"{HERE}/serviceaccounts"), "individual service accounts")
    permission, account = ask.registry.permission, kinds.SERVICE_ACCOUNT
    permission.authorize(node("n1"), "create", account, "default", "robot", "token")
    with pytest.raises(Forbidden, match=UNRELATED):
        permission.authorize(node("n1"), "create", account, "default", "default", "token")


@pytest.mark.parametrize(
    ("bound", "audiences", "why"),
    [
        ({}, [], "node requested token not bound to a pod"),
        ({"name": "p1", "kind": "Secret"}, [], "node requested token not bound to a pod"),
        ({"name": "p1", "uid": ""}, [], "node requested token with a pod binding without a uid"),
        ({"name": "p1", "uid": "old"}, [], "the UID in the bound object reference (old) does not"),
        ({"name": "p2"}, [], "node requested token bound to a pod scheduled on a different node"),
        ({"name": "p1"}, ["a", "b"], "node may only request 0 or 1 audiences"),
        ({"name": "p1"}, ["vault"], 'not authorized to request tokens for audience "vault"'),
        ({"name": "p1"}, [], ""),
        ({"name": "p1"}, ["registry"], ""),
    ],
)
async def test_tokens_are_for_its_pods_and_whom_they_show_them_to(
    ask: Kube, bound: Doc, audiences: list[str], why: str
) -> None:
    await grant(
        ask, "group:system:nodes", rule("request-serviceaccounts-token-audience", "registry")
    )
    ref = {"apiVersion": "v1", "kind": "Pod", **bound} if bound else None
    found = ask.registry.cache.get(kinds.POD, "default", bound.get("name", ""))
    if ref is not None and found is not None:
        ref.setdefault("uid", found["metadata"]["uid"])
    spec = {"boundObjectRef": ref, "audiences": audiences}
    asked = (ask.registry.permission, node("n1"), "default", "robot", spec)
    if not why:
        check_token_request(*asked)
        return
    with pytest.raises(Forbidden) as refusal:
        check_token_request(*asked)
    assert 'serviceaccounts "robot" is forbidden: ' in refusal.value.message
    assert why in refusal.value.message


async def test_others_in_the_group_without_a_name_are_no_node(ask: Kube) -> None:
    ask.user = node("")
    refused(await ask("GET", f"{HERE}/secrets/of-1"))
    ask.user = node("n1").__class__("system:node:n1", ("system:authenticated",))
    refused(await ask("GET", f"{HERE}/secrets/of-1"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"nodeName": "n2"}, "which is not the requesting node"),
        ({"podName": "gone"}, "while retrieving pod"),
        ({"podName": "p2"}, "is not running on node"),
        ({"serviceAccountName": "default"}, "that differs from running pod"),
        ({"podUID": "old"}, 'names pod UID "old", inconsistent with the running pod'),
        ({"nodeUID": "old"}, 'names node UID "old"'),
        ({"serviceAccountUID": "old"}, 'names service account UID "old"'),
        ({"signerName": "example.com/other"}, "does not mount a podCertificate projected volume"),
    ],
)
async def test_certificates_are_for_its_pods(ask: Kube, change: Doc, why: str) -> None:
    signer = "example.com/mesh"
    source = {"podCertificate": {"signerName": signer, "keyType": "ED25519"}}
    volume = {"name": "v", "projected": {"sources": [source]}}
    ask.user = ADMIN
    there = await placed(ask, "n1", needing("pc", serviceAccountName="robot", volumes=[volume]))
    uids = {}
    for field, kind, namespace, name in (
        ("nodeUID", kinds.NODE, "", "n1"), ("serviceAccountUID", kinds.SERVICE_ACCOUNT, "default", "robot"),
    ):  # fmt: skip
        found = ask.registry.cache.get(kind, namespace, name)
        assert found is not None
        uids[field] = found["metadata"]["uid"]
    spec = {
        "nodeName": "n1", "podName": "pc", "podUID": there["metadata"]["uid"], "signerName": signer,
        "serviceAccountName": "robot", "maxExpirationSeconds": 86400, **uids, **change,
        "pkixPublicKey": "", "proofOfPossession": "",
    }  # fmt: skip
    ask.user = node("n1")
    path = "/apis/certificates.k8s.io/v1/namespaces/default/podcertificaterequests"
    answer = await ask("POST", path, {"metadata": {"name": "r"}, "spec": spec})
    if why:
        refused(answer, 'podcertificaterequests.certificates.k8s.io "r" is forbidden', why)
    else:
        # What it is allowed to ask for, the rules judge: here the key is missing.
        assert answer.status == 422, answer.doc
