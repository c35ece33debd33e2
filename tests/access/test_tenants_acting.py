"""What a tenant's administrator cannot do: to another tenant, to what bounds his own, and by asking
questions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from tests.access.tenants import (
    AUTHENTICATED,
    BLUE,
    CANARY,
    CORE,
    MERGE,
    RED,
    anonymised,
    as_admin,
    is_clean,
    tenants,
    whole,
)
from tests.doors.rig import Kube, config_map, pod
from tests.permission.rig import RBAC, binding, refused, role, rule

REVIEWS = "/apis/authorization.k8s.io/v1"


@pytest.fixture
async def ask() -> AsyncIterator[Kube]:
    async with tenants() as (door, _):
        yield door


# --- questions ---


async def rules_of(ask: Kube, namespace: str) -> Doc:
    answer = await ask(
        "POST", f"{REVIEWS}/selfsubjectrulesreviews", {"spec": {"namespace": namespace}}
    )
    assert answer.status == 201
    status: Doc = answer.doc["status"]
    return status


async def test_rights_elsewhere_are_those_of_a_stranger(ask: Kube) -> None:
    """And the same whether there is such a namespace or not."""
    elsewhere, nowhere, own = [await rules_of(ask, name) for name in (BLUE, "nowhere", RED)]
    ask.user = User("stranger", AUTHENTICATED)
    assert elsewhere == nowhere == await rules_of(ask, BLUE)
    assert own != elsewhere


async def test_a_review_of_oneself_tells_of_no_binding_elsewhere(ask: Kube) -> None:
    said = []
    for namespace, name in ((BLUE, CANARY), (BLUE, "absent-77"), ("nowhere", CANARY)):
        wish = {"verb": "get", "resource": "pods", "namespace": namespace, "name": name}
        body = {"spec": {"resourceAttributes": wish}}
        answer = await ask("POST", f"{REVIEWS}/selfsubjectaccessreviews", body)
        said.append(answer.doc["status"])
    assert said == 3 * [{"allowed": False}]


async def test_nobody_asks_what_others_may_elsewhere(ask: Kube) -> None:
    wish = {"verb": "get", "resource": "pods", "namespace": BLUE}
    body = {"spec": {"user": "bob", "resourceAttributes": wish}}
    refused(await ask("POST", f"{REVIEWS}/subjectaccessreviews", body))
    refused(await ask("POST", f"{REVIEWS}/namespaces/{BLUE}/localsubjectaccessreviews", body))
    answer = await ask("POST", f"{REVIEWS}/namespaces/{RED}/localsubjectaccessreviews", body)
    assert answer.status == 422 and "must match metadata.namespace" in answer.doc["message"]
    refused(
        await ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}})
    )


# --- in somebody else's name ---


@pytest.mark.parametrize(
    "who", ["bob", "admin", "system:admin", f"system:serviceaccount:{BLUE}:default",
            "system:serviceaccount:kube-system:replicaset-controller", "system:node:n1"],
)  # fmt: skip
async def test_nobody_acts_as_one_of_another_tenant(ask: Kube, who: str) -> None:
    answer = await ask("GET", f"{CORE}/{BLUE}/secrets", impersonate_user=who)
    refused(answer, "cannot impersonate resource")


async def test_accounts_of_ones_own_are_no_door_to_others(ask: Kube) -> None:
    """Upstream's role lets an administrator act as accounts of his namespace, and as these alone."""
    own = f"system:serviceaccount:{RED}:default"
    refused(await ask("GET", f"{CORE}/{BLUE}/secrets", impersonate_user=own), own)
    for group in ("system:masters", f"system:serviceaccounts:{BLUE}", f"tenant:{BLUE}:admins"):
        answer = await ask(
            "GET", f"{CORE}/{BLUE}/secrets", impersonate_user=own, impersonate_group=group
        )
        refused(answer, "cannot impersonate resource")


async def test_groups_of_another_tenant_are_not_ones_own(ask: Kube) -> None:
    ask.user = User("eve", (f"tenant:{RED}:editors", *AUTHENTICATED))
    assert (await ask("POST", f"{CORE}/{RED}/configmaps", config_map("c"))).status == 201
    refused(await ask("GET", f"{CORE}/{BLUE}/configmaps"))
    refused(await ask("GET", f"{RBAC}/namespaces/{RED}/rolebindings"))


# --- what bounds a tenant ---


@pytest.mark.parametrize(
    "path",
    [
        f"{CORE}/{RED}", f"{CORE}/{RED}/resourcequotas/tenant", f"{CORE}/{RED}/limitranges/tenant",
        f"{CORE}/{RED}/resourcequotas/tenant/status", f"{CORE}/{RED}/status", f"{CORE}/{RED}/finalize",
        f"{CORE}/{RED}/pods/mine/status", f"{CORE}/{RED}/pods/mine/binding",
    ],
)  # fmt: skip
async def test_bounds_are_not_ones_own_to_move(ask: Kube, path: str) -> None:
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    for method, body in (("PATCH", level), ("PUT", level), ("DELETE", None), ("POST", level)):
        answer = await ask(method, path, body, **(MERGE if method == "PATCH" else {}))
        assert answer.status == 403, (method, answer.doc)


async def test_addresses_of_others_are_not_drawn_to_ones_own_service(ask: Kube) -> None:
    """CVE-2020-8554, whatever plug-ins are on. An administrator of the cluster may."""
    path, drawn = f"{CORE}/{RED}/services", {"externalIPs": ["198.51.100.7"]}
    ports: Doc = {"ports": [{"port": 80}]}
    service = {"metadata": {"name": "thief"}, "spec": {**ports, **drawn}}
    why = "Use of external IPs is denied by admission control in the namespace of a tenant"
    refused(await ask("POST", path, service), why)
    honest = {"metadata": {"name": "honest"}, "spec": ports}
    assert (await ask("POST", path, honest)).status == 201
    refused(await ask("PATCH", f"{path}/honest", {"spec": drawn}, **MERGE), why)
    answer = await as_admin(ask, "PATCH", f"{path}/honest", {"spec": drawn}, **MERGE)
    assert answer.status == 200, answer.doc
    label = {"metadata": {"labels": {"tier": "one"}}}
    assert (await ask("PATCH", f"{path}/honest", label, **MERGE)).status == 200
    more = {"spec": {"externalIPs": ["198.51.100.7", "198.51.100.8"]}}
    refused(await ask("PATCH", f"{path}/honest", more, **MERGE), why)


async def test_the_level_holds(ask: Kube) -> None:
    bad = pod("bad")
    bad["spec"]["volumes"] = [{"name": "host", "hostPath": {"path": "/"}}]
    answer = await ask("POST", f"{CORE}/{RED}/pods", bad)
    assert answer.status == 403
    assert 'violates PodSecurity "baseline:latest": hostPath volumes' in answer.doc["message"]


async def test_rights_are_not_grown(ask: Kube) -> None:
    bindings = f"{RBAC}/namespaces/{RED}/rolebindings"
    refused(
        await ask("POST", bindings, binding("up", "cluster-admin", "user:ann")),
        "not currently held",
    )
    everything = role("all", rule("*", "*", "*"))
    refused(await ask("POST", f"{RBAC}/namespaces/{RED}/roles", everything), "not currently held")
    refused(await ask("POST", f"{RBAC}/clusterrolebindings", binding("up", "view", "user:ann")))
    refused(
        await ask(
            "POST", f"{RBAC}/namespaces/{BLUE}/rolebindings", binding("up", "view", "user:ann")
        )
    )
    assert (await ask("POST", bindings, binding("more", "edit", "user:eve"))).status == 201


async def test_quotas_are_each_tenants_own(ask: Kube) -> None:
    """One is full; its refusals name nobody else, and the other is not touched."""
    full = {"spec": {"hard": {"pods": "2"}}}
    path = f"{CORE}/{RED}/resourcequotas/tenant"
    assert (await as_admin(ask, "PATCH", path, full, **MERGE)).status == 200
    answer = await ask("POST", f"{CORE}/{RED}/pods", pod("third"))
    assert "exceeded quota: tenant" in answer.doc["message"] and is_clean(answer.body)
    assert (await as_admin(ask, "POST", f"{CORE}/zoo/pods", pod("third"))).status == 201


# --- writes that say another namespace ---


async def test_an_object_says_no_other_namespace_than_its_path(ask: Kube) -> None:
    lying = config_map("x")
    lying["metadata"]["namespace"] = BLUE
    path = f"{CORE}/{RED}/configmaps"
    for method, target, media in (
        ("POST", path, "application/json"), ("PUT", f"{path}/x", "application/json"),
        ("PATCH", f"{path}/x?fieldManager=m", "application/apply-patch+yaml"),
    ):  # fmt: skip
        answer = await ask(method, target, lying, content_type=media)
        assert answer.status in (400, 404), answer.doc
    assert (await as_admin(ask, "GET", f"{CORE}/{BLUE}/configmaps/x")).status == 404


async def test_a_collection_is_deleted_no_further_than_it_is_ones_own(ask: Kube) -> None:
    for query in (f"?fieldSelector=metadata.namespace={BLUE}", "?labelSelector=team", ""):
        answer = await ask("DELETE", f"{CORE}/{RED}/configmaps{query}")
        assert answer.status == 200 and is_clean(answer.body)
    assert (await as_admin(ask, "GET", f"{CORE}/{BLUE}/configmaps/{CANARY}")).status == 200
    assert (await ask("DELETE", "/api/v1/configmaps")).status == 403
    assert (await as_admin(ask, "DELETE", "/api/v1/configmaps")).status == 405


async def test_an_address_that_is_taken_is_not_said_to_be_whose(ask: Kube) -> None:
    taken = (await as_admin(ask, "GET", f"{CORE}/{BLUE}/services/{CANARY}")).doc["spec"][
        "clusterIP"
    ]
    service = {"metadata": {"name": "s"}, "spec": {"clusterIP": taken, "ports": [{"port": 80}]}}
    said = await whole(ask, "POST", f"{CORE}/{RED}/services", service)
    assert said.startswith(b"422") and b"provided IP is already allocated" in said
    assert is_clean(said)


async def test_others_secrets_are_not_reached_by_naming_them(ask: Kube) -> None:
    """A pod's references have no namespace: a name is looked up in the pod's own."""
    sly = pod("sly")
    sly["spec"]["serviceAccountName"] = f"{BLUE}/default"
    answer = await ask("POST", f"{CORE}/{RED}/pods", sly)
    assert answer.status in (403, 422)
    sly = pod("sly")
    sly["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": f"../{BLUE}/{CANARY}"}}]
    answer = await ask("POST", f"{CORE}/{RED}/pods", sly)
    assert answer.status == 422, answer.doc


async def test_waiting_for_a_revision_is_for_those_who_may_read(ask: Kube) -> None:
    """Under the virtual clock an answer that waits never comes. Who may read learns where the
    cluster is by waiting in his own namespace."""
    for query in ("resourceVersion=999999999", "resourceVersion=999999999&watch=1"):
        for path in (f"{CORE}/{BLUE}/pods", f"{CORE}/{BLUE}/pods/{CANARY}", "/api/v1/pods"):
            refused(await ask("GET", f"{path}?{query}"))
    own = await ask.late(ask("GET", f"{CORE}/{RED}/pods?resourceVersion=999999999"))
    assert own.status == 504 and is_clean(own.body)


async def test_what_does_not_exist_is_refused_like_what_does(ask: Kube) -> None:
    """Also where the body is wrong: it is looked at after permission, or alike."""
    for body in (b"{", b"[]", {"kind": "Pod"}, {"metadata": {"namespace": RED}}):
        said = {
            anonymised(await whole(ask, "POST", f"{CORE}/{namespace}/pods", body))
            for namespace in (BLUE, "nowhere")
        }
        assert len(said) == 1
