"""Plug-ins about other kinds than pods: classes, storage, certificates, owners, Events, Services."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.admission.surroundings import EventLimit

from ..doors.rig import Kube, config_map, pod
from .rig import PODS, admitting, make, path_of

MERGE = "application/merge-patch+json"
CLAIM: Doc = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
JANE = User("jane", ("system:authenticated",))


def default_class(kind: Kind) -> Doc:
    group = "storageclass" if kind is kinds.STORAGE_CLASS else "ingressclass"
    return {"annotations": {f"{group}.kubernetes.io/is-default-class": "true"}}


async def test_claims_without_a_class_get_the_newest_default() -> None:
    async with admitting() as api:
        first = await make(api, kinds.PVC, "none", spec=CLAIM)
        assert "storageClassName" not in first["spec"]
        for name in ("b", "a"):
            await make(
                api, kinds.STORAGE_CLASS, name, provisioner="p",
                metadata=default_class(kinds.STORAGE_CLASS),
            )  # fmt: skip
        assert (await make(api, kinds.PVC, "one", spec=CLAIM))["spec"]["storageClassName"] == "a"
        await api.clock.advance(5)
        newer = default_class(kinds.STORAGE_CLASS)
        await make(api, kinds.STORAGE_CLASS, "c", provisioner="p", metadata=newer)
        assert (await make(api, kinds.PVC, "two", spec=CLAIM))["spec"]["storageClassName"] == "c"
        empty = {**CLAIM, "storageClassName": ""}
        assert (await make(api, kinds.PVC, "three", spec=empty))["spec"]["storageClassName"] == ""
        of_old = {"annotations": {"volume.beta.kubernetes.io/storage-class": "x"}}
        claim = await make(api, kinds.PVC, "four", spec=CLAIM, metadata=of_old)
        assert "storageClassName" not in claim["spec"]


async def test_ingresses_without_a_class_get_the_default() -> None:
    async with admitting() as api:
        spec = {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}
        await make(
            api, kinds.INGRESS_CLASS, "nginx", spec={"controller": "example.com/c"},
            metadata=default_class(kinds.INGRESS_CLASS),
        )  # fmt: skip
        made = await make(api, kinds.INGRESS, "a", spec=spec)
        assert made["spec"]["ingressClassName"] == "nginx"
        old = {"annotations": {"kubernetes.io/ingress.class": "x"}}
        made = await make(api, kinds.INGRESS, "b", spec=spec, metadata=old)
        assert "ingressClassName" not in made["spec"]


async def test_storage_is_protected_while_it_is_used() -> None:
    async with admitting() as api:
        claim = await make(api, kinds.PVC, "c", spec=CLAIM)
        assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
        given = {"finalizers": ["kubernetes.io/pvc-protection"]}
        again = await make(api, kinds.PVC, "d", spec=CLAIM, metadata=given)
        assert again["metadata"]["finalizers"] == given["finalizers"]


async def test_only_bound_claims_of_classes_that_can_are_expanded() -> None:
    async with admitting() as api:
        await make(api, kinds.STORAGE_CLASS, "fixed", provisioner="p")
        await make(api, kinds.STORAGE_CLASS, "grows", provisioner="p", allowVolumeExpansion=True)
        more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
        for name in ("fixed", "grows"):
            await make(api, kinds.PVC, name, spec={**CLAIM, "storageClassName": name})
        path = path_of(kinds.PVC)
        answer = await api("PATCH", f"{path}/grows", more, content_type=MERGE)
        assert answer.doc["message"].endswith("Only bound persistent volume claims can be expanded")
        for name, status in (("fixed", 403), ("grows", 200)):
            bound = {"status": {"phase": "Bound"}}
            await api("PATCH", f"{path}/{name}/status", bound, content_type=MERGE)
            answer = await api("PATCH", f"{path}/{name}", more, content_type=MERGE)
            assert answer.status == status, answer.doc
            assert status == 200 or "only dynamically provisioned pvc" in answer.doc["message"]


# ---- certificates


def request_for(organization: str = "team") -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [
        x509.NameAttribute(x509.NameOID.COMMON_NAME, "jane"),
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization),
    ]
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    signed = made.sign(key, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


async def ask_for_certificate(api: Kube, **spec: Any) -> Any:
    body = {
        "request": request_for(), "usages": ["client auth"],
        "signerName": "kubernetes.io/kube-apiserver-client", **spec,
    }  # fmt: skip
    path = path_of(kinds.CSR)
    return await api("POST", path, {"metadata": {"name": "c"}, "spec": body})


async def test_nobody_asks_to_be_a_master() -> None:
    async with admitting() as api:
        answer = await ask_for_certificate(api, request=request_for("system:masters"))
        assert answer.status == 403
        assert answer.doc["message"].endswith(
            "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
        )
        assert (await ask_for_certificate(api)).status == 201


async def grant(api: Kube, *rules: Doc) -> None:
    """What jane may do."""
    await make(api, kinds.CLUSTER_ROLE, "r", rules=list(rules))
    reference = {"apiGroup": kinds.CLUSTER_ROLE.group, "kind": "ClusterRole", "name": "r"}
    subject = {"apiGroup": kinds.CLUSTER_ROLE.group, "kind": "User", "name": "jane"}
    await make(api, kinds.CLUSTER_ROLE_BINDING, "b", roleRef=reference, subjects=[subject])


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> Doc:
    return {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": [group], **more}


@pytest.mark.parametrize(
    "names", [["kubernetes.io/kube-apiserver-client"], ["kubernetes.io/*"], []]
)
async def test_who_approves_and_signs_must_speak_for_the_signer(names: list[str]) -> None:
    group = kinds.CSR.group
    async with admitting() as api:
        parts = "certificatesigningrequests/approval certificatesigningrequests/status"
        rules = [rule("update patch get", parts, group)]
        if names:
            rules.append(rule("approve sign", "signers", group, resourceNames=names))
        await grant(api, *rules)
        made = (await ask_for_certificate(api)).doc
        api.user = JANE
        condition = {"type": "Approved", "status": "True", "reason": "r", "message": "m"}
        made["status"] = {"conditions": [condition]}
        path = f"{path_of(kinds.CSR)}/c"
        approved = await api("PUT", f"{path}/approval", made)
        failed = {"status": {"conditions": [{**condition, "type": "Failed"}, condition]}}
        signed = await api("PATCH", f"{path}/status", failed, content_type=MERGE)
        if names:
            assert (approved.status, signed.status) == (200, 200), (approved.doc, signed.doc)
            return
        for answer, verb in ((approved, "approve"), (signed, "sign")):
            assert answer.status == 403 and answer.doc["message"].endswith(
                f'user not permitted to {verb} requests with signerName '
                '"kubernetes.io/kube-apiserver-client"'
            )  # fmt: skip


# ---- owners


def owned(blocks: bool = True) -> Doc:
    reference = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "p",
        "uid": "u",
        "blockOwnerDeletion": blocks,
    }
    return {"metadata": {"ownerReferences": [reference]}}


async def test_owners_are_set_by_those_who_may_end_them() -> None:
    async with admitting("OwnerReferencesPermissionEnforcement") as api:
        await grant(api, rule("create update patch get", "configmaps"))
        await api("POST", path_of(kinds.CONFIG_MAP), config_map("a"))
        api.user = JANE
        path = f"{path_of(kinds.CONFIG_MAP)}/a"
        answer = await api("PATCH", path, owned(), content_type=MERGE)
        assert answer.status == 403
        assert "cannot set an ownerRef on a resource you can't delete" in answer.doc["message"]
        new = {**config_map("b"), "metadata": {"name": "b", **owned()["metadata"]}}
        answer = await api("POST", path_of(kinds.CONFIG_MAP), new)
        assert "refers to a resource you can't set finalizers on" in answer.doc["message"]
        free = {**config_map("c"), "metadata": {"name": "c", **owned(blocks=False)["metadata"]}}
        assert (await api("POST", path_of(kinds.CONFIG_MAP), free)).status == 201
        unknown = owned()["metadata"]["ownerReferences"][0] | {"kind": "Thing"}
        odd = {**config_map("d"), "metadata": {"name": "d", "ownerReferences": [unknown]}}
        answer = await api("POST", path_of(kinds.CONFIG_MAP), odd)
        assert 'no matches for kind "Thing" in version "v1"' in answer.doc["message"]


async def test_who_may_finalize_anything_may_block() -> None:
    async with admitting("OwnerReferencesPermissionEnforcement") as api:
        await grant(
            api, rule("create", "configmaps"), rule("update", "*/finalizers", "*"),
        )  # fmt: skip
        api.user = JANE
        new = {**config_map("b"), "metadata": {"name": "b", **owned()["metadata"]}}
        answer = await api("POST", path_of(kinds.CONFIG_MAP), new)
        assert answer.status == 201, answer.doc


# ---- Events and Services


def event(name: str, namespace: str = "default") -> Doc:
    about = {"kind": "Pod", "namespace": namespace, "name": "p"}
    return {"metadata": {"name": name}, "involvedObject": about, "reason": "r", "type": "Normal"}


async def test_a_flood_of_events_is_held_by_namespace() -> None:
    limits = (EventLimit("Namespace", qps=1, burst=2), EventLimit("User", qps=100, burst=100))
    async with admitting("EventRateLimit", event_limits=limits) as api:
        await make(api, kinds.NAMESPACE, "other")
        path = path_of(kinds.EVENT)
        statuses = [(await api("POST", path, event(f"e{n}"))).status for n in range(4)]
        assert statuses == [201, 201, 429, 429]
        refused = await api("POST", path, event("e5"))
        assert refused.doc["message"] == "limit reached on type Namespace for key default"
        there = path_of(kinds.EVENT, "other")
        assert (await api("POST", there, event("a", "other"))).status == 201
        await api.clock.advance(1.5)
        assert (await api("POST", path, event("later"))).status == 201
        assert (await api("POST", f"{path}?dryRun=All", event("dry"))).status == 201
        assert (await api("POST", PODS, pod("p"))).status == 201


async def test_external_addresses_are_denied_but_those_that_are_there() -> None:
    port = {"ports": [{"port": 80}]}
    async with admitting("DenyServiceExternalIPs") as api:
        path = path_of(kinds.SERVICE)
        body = {"metadata": {"name": "s"}, "spec": {**port, "externalIPs": ["198.51.100.7"]}}
        answer = await api("POST", path, body)
        assert answer.doc["message"].endswith("Use of external IPs is denied by admission control")
        await make(api, kinds.SERVICE, "s", spec=port)
        more = {"spec": {"externalIPs": ["198.51.100.7"]}}
        assert (await api("PATCH", f"{path}/s", more, content_type=MERGE)).status == 403
        fine = {"metadata": {"labels": {"a": "b"}}}
        assert (await api("PATCH", f"{path}/s", fine, content_type=MERGE)).status == 200
