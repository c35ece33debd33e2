"""The default roles: made at start, given what they lack, left what they have more; gathered roles."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longshore.base.users import loop_user
from longshore.cluster.server.default_roles import ensure_roles
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rbac.defaults import default_objects
from longshore.core.registry.client import Create, Patch
from longshore.core.registry.inprocess import InProcess
from longshore.machinery.controllers.aggregation.run import RoleAggregation
from longshore.machinery.loop.loop import Loop
from longshore.testing.clock import settle
from tests.doors.rig import ADMIN, Kube, kube
from tests.permission.rig import JANE, RBAC, binding, made, refused, role, rule

ROLES = f"{RBAC}/clusterroles"
MERGE = {"content_type": "application/merge-patch+json"}


async def ensure(ask: Kube) -> None:
    client = InProcess(ask.registry, loop_user("roles"))
    await ensure_roles(ask.registry.cache, client, default_objects())


async def system_namespaces(ask: Kube) -> None:
    for name in ("kube-system", "kube-public"):
        await made(ask, "/api/v1/namespaces", {"metadata": {"name": name}})


def cluster_role(ask: Kube, name: str) -> Doc:
    found = ask.registry.cache.get(kinds.CLUSTER_ROLE, "", name)
    assert found is not None
    return found


async def patched(ask: Kube, kind: kinds.Kind, name: str, patch: Doc) -> None:
    (answer,) = await ask.registry.submit(ADMIN, [Patch(kind, "", name, patch)])
    assert isinstance(answer, dict), answer


async def test_all_are_made_once_and_a_second_start_writes_nothing() -> None:
    async with kube() as ask:
        await system_namespaces(ask)
        await ensure(ask)
        for kind, doc in default_objects():
            metadata = doc["metadata"]
            found = ask.registry.cache.get(kind, metadata.get("namespace", ""), metadata["name"])
            assert found is not None
            assert found.get("rules") == doc.get("rules")
            assert found["metadata"]["labels"].items() >= metadata["labels"].items()
        revision = ask.registry.cache.revision
        await ensure(ask)
        assert ask.registry.cache.revision == revision


async def test_what_was_taken_away_comes_back_and_what_was_added_stays() -> None:
    async with kube(roles=True) as ask:
        await system_namespaces(ask)
        mine = rule("get", "widgets", "example.com")
        there = cluster_role(ask, "system:discovery")
        await patched(ask, kinds.CLUSTER_ROLE, "system:discovery", {"rules": [mine]})
        other = {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}
        await patched(ask, kinds.CLUSTER_ROLE_BINDING, "system:basic-user", {"subjects": [other]})
        labels = {"metadata": {"labels": None, "annotations": None}}
        await patched(ask, kinds.CLUSTER_ROLE, "view", labels)
        await ensure(ask)
        again = cluster_role(ask, "system:discovery")
        urls = {url for one in again["rules"] for url in one.get("nonResourceURLs") or ()}
        assert mine in again["rules"] and urls == {*there["rules"][0]["nonResourceURLs"]}
        bound = ask.registry.cache.get(kinds.CLUSTER_ROLE_BINDING, "", "system:basic-user")
        assert bound is not None
        assert [one["name"] for one in bound["subjects"]] == ["jane", "system:authenticated"]
        assert (
            "rbac.authorization.k8s.io/aggregate-to-edit"
            in (cluster_role(ask, "view")["metadata"]["labels"])
        )


async def test_what_is_not_to_be_updated_is_left_alone() -> None:
    async with kube(roles=True) as ask:
        await system_namespaces(ask)
        off = {"rbac.authorization.kubernetes.io/autoupdate": "false"}
        patch = {"metadata": {"annotations": off}, "rules": []}
        await patched(ask, kinds.CLUSTER_ROLE, "system:discovery", patch)
        await ensure(ask)
        assert cluster_role(ask, "system:discovery")["rules"] == []


async def test_a_binding_to_another_role_is_made_anew() -> None:
    async with kube() as ask:
        await system_namespaces(ask)
        other = binding("system:kube-dns", "view", "user:jane")
        await made(ask, f"{RBAC}/clusterrolebindings", other)
        await ensure(ask)
        bound = ask.registry.cache.get(kinds.CLUSTER_ROLE_BINDING, "", "system:kube-dns")
        assert bound is not None and bound["roleRef"]["name"] == "system:kube-dns"


async def test_what_cannot_be_made_anew_does_not_keep_a_server_from_starting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with kube() as ask:
        await system_namespaces(ask)
        held = binding("system:kube-dns", "view", "user:jane")
        held["metadata"]["finalizers"] = ["example.com/held"]
        await made(ask, f"{RBAC}/clusterrolebindings", held)
        await ensure(ask)
        assert "is not as it should be" in caplog.text
        assert cluster_role(ask, "system:controller:ttl-controller")


@pytest.fixture
async def gathering() -> Any:
    async with kube(roles=True) as ask:
        client = InProcess(ask.registry, loop_user("aggregation"))
        reconciler = RoleAggregation(ask.registry.cache, client)
        loop = Loop(reconciler, ask.registry.cache, ask.clock, ask.registry._chance)
        task = asyncio.ensure_future(loop.run())
        await settle(5)
        yield ask
        task.cancel()


async def test_roles_with_the_label_are_gathered_and_let_go(gathering: Kube) -> None:
    ask = gathering
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    before = cluster_role(ask, "view")["rules"]
    widgets = rule("get list", "widgets", "example.com")
    await made(ask, ROLES, role("widgets", widgets, labels=labels))
    await settle(20)
    for name in ("view", "edit", "admin"):
        assert widgets in cluster_role(ask, name)["rules"], name
    await made(ask, f"{RBAC}/clusterrolebindings", binding("jane", "view", "user:jane"))
    ask.user = JANE
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    asked = {"verb": "get", "group": "example.com", "resource": "widgets"}
    answer = await ask("POST", path, {"spec": {"resourceAttributes": asked}})
    assert answer.doc["status"]["allowed"]
    ask.user = ADMIN
    assert (await ask("DELETE", f"{ROLES}/widgets")).status == 200
    await settle(20)
    assert cluster_role(ask, "view")["rules"] == before


async def test_what_is_written_into_a_sum_is_summed_up_again(gathering: Kube) -> None:
    ask = gathering
    before = cluster_role(ask, "edit")["rules"]
    await patched(ask, kinds.CLUSTER_ROLE, "edit", {"rules": []})
    await settle(20)
    assert cluster_role(ask, "edit")["rules"] == before


@pytest.mark.parametrize("name", ["view", "edit", "admin"])
async def test_who_may_look_may_see_what_pods_use(name: str) -> None:
    """As metrics-server's manifests label system:aggregated-metrics-reader."""
    async with kube(roles=True) as ask:
        reads = {"apiGroups": ["metrics.k8s.io"], "resources": ["nodes", "pods"]}
        rules = cluster_role(ask, name)["rules"]
        assert {**reads, "verbs": ["get", "list", "watch"]} in [
            {**rule, **{part: sorted(rule[part]) for part in ("resources", "verbs")}}
            for rule in rules
            if rule.get("resources")
        ]
        await made(ask, f"{RBAC}/namespaces/default/rolebindings", binding("j", name, "user:jane"))
        ask.user = JANE
        for where, allowed in (("default", True), ("kube-system", False)):
            about = {"verb": "list", "group": "metrics.k8s.io", "resource": "pods"}
            spec = {"resourceAttributes": {**about, "namespace": where}}
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            answer = await ask("POST", path, {"spec": spec})
            assert answer.doc["status"]["allowed"] is allowed


@pytest.mark.parametrize(
    ("name", "may", "may_not"),
    [
        ("view", ("get", "pods"), ("get", "secrets")),
        ("edit", ("create", "secrets"), ("create", "rolebindings")),
        ("admin", ("create", "rolebindings"), ("update", "resourcequotas")),
    ],
)
async def test_viewers_editors_and_admins_of_a_namespace(
    name: str, may: tuple[str, str], may_not: tuple[str, str]
) -> None:
    async with kube(roles=True) as ask:
        here = f"{RBAC}/namespaces/default/rolebindings"
        await made(ask, here, binding("jane", name, "user:jane"))
        ask.user = JANE
        groups = {"rolebindings": "rbac.authorization.k8s.io"}
        for (verb, resource), expected in ((may, True), (may_not, False)):
            asked = {
                "verb": verb, "resource": resource, "group": groups.get(resource, ""),
                "namespace": "default",
            }  # fmt: skip
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            answer = await ask("POST", path, {"spec": {"resourceAttributes": asked}})
            assert answer.doc["status"]["allowed"] is expected
        refused(await ask("GET", "/api/v1/namespaces/other/pods"))
        # Who may read namespaces within one may read that one.
        assert (await ask("GET", "/api/v1/namespaces/default")).status == 200
        refused(await ask("GET", "/api/v1/namespaces/other"), 'in the namespace "other"')
        refused(await ask("GET", "/api/v1/namespaces"), "at the cluster scope")


async def test_the_creates_are_valid_as_they_are() -> None:
    """No default is refused by the rules for its kind, whatever its namespace."""
    async with kube() as ask:
        await system_namespaces(ask)
        wanted = [Create(kind, doc) for kind, doc in default_objects()]
        for answer in await ask.registry.submit(ADMIN, wanted):
            assert isinstance(answer, dict), answer
