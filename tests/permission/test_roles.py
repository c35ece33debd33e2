"""Roles and bindings against an evaluator that only reads the rules, and through the door."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Delete, Update
from longshore.core.registry.wishes import Wish
from tests.doors.rig import ADMIN, Kube, kube, pod
from tests.permission.rig import JANE, RBAC, ROBOT, binding, grant, made, refused, role, rule

VERBS, GROUPS = ("get", "create", "*"), ("", "apps", "*")
RESOURCES = ("pods", "pods/log", "*/log", "*", "deployments")
NAMES, NAMESPACES = ("", "a", "b"), ("", "default", "other")
SUBJECTS = ("user:jane", "group:dev", "account:default/robot", "group:system:authenticated")
USERS = (JANE, ROBOT, User("nobody", ("system:authenticated",)), User("stranger"))
WISHES = [
    Wish(verb, group, resource, namespace, name, below)
    for verb, group, resource, below, namespace, name in product(
        ("get", "create", "fly"), ("", "apps"), ("pods", "deployments"), ("", "log"), NAMESPACES, NAMES
    )
]  # fmt: skip


def words(choices: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(choices), min_size=1, max_size=2, unique=True)


RULES = st.lists(
    st.fixed_dictionaries(
        {"verbs": words(VERBS), "apiGroups": words(GROUPS), "resources": words(RESOURCES)},
        optional={"resourceNames": words(("a", "b"))},
    ),
    max_size=3,
)
BOUND = st.lists(
    st.tuples(
        st.sampled_from(("one", "two", "missing")),
        st.sampled_from(NAMESPACES),
        st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=2, unique=True),
    ),
    max_size=5,
)


def is_meant(who: User, subject: Doc) -> bool:
    if subject["kind"] == "Group":
        return subject["name"] in who.groups
    if subject["kind"] == "User":
        return bool(who.name == subject["name"])
    return who.name == f"system:serviceaccount:{subject['namespace']}:{subject['name']}"


def is_covered(wish: Wish, one: Doc) -> bool:
    """By the words of the RBAC documentation, one rule at a time."""
    full = f"{wish.resource}/{wish.subresource}" if wish.subresource else wish.resource
    any_of_them = f"*/{wish.subresource}" if wish.subresource else full
    return (
        bool({wish.verb, "*"} & {*one["verbs"]})
        and bool({wish.group, "*"} & {*one["apiGroups"]})
        and bool({full, any_of_them, "*"} & {*one["resources"]})
        and ("resourceNames" not in one or wish.name in one["resourceNames"])
    )


def naive(who: User, wish: Wish, roles: dict[str, list[Doc]], bindings: list[Doc]) -> bool:
    return any(
        is_covered(wish, one)
        for bound in bindings
        if bound["metadata"].get("namespace", "") in ("", wish.namespace)
        and any(is_meant(who, subject) for subject in bound["subjects"])
        for one in roles.get(bound["roleRef"]["name"], [])
    )


def is_same_as_naive(ask: Kube, roles: dict[str, list[Doc]], bindings: list[Doc]) -> None:
    for who, wish in product(USERS, WISHES):
        expected = naive(who, wish, roles, bindings)
        assert ask.registry.permission.allowed(who, wish) is expected, (who, wish)
        assert ask.registry.permission.judge(who, wish).allowed is expected


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RULES, RULES, RULES, BOUND, st.data())
def test_every_decision_is_the_naive_one_and_follows_each_change(
    one: list[Doc], two: list[Doc], later: list[Doc], bound: list[Any], data: st.DataObject
) -> None:
    async def run() -> None:
        async with kube() as ask:
            await ask.registry.create(ADMIN, kinds.NAMESPACE, {"metadata": {"name": "other"}})
            roles = {"one": one, "two": two}
            bindings = [
                _bound(f"b{index}", *parts) for index, parts in enumerate(bound)
            ]  # fmt: skip
            await _submit(ask, [Create(kinds.CLUSTER_ROLE, role(n, *r)) for n, r in roles.items()])
            await _submit(ask, [Create(_kind(doc), doc) for doc in bindings])
            is_same_as_naive(ask, roles, bindings)
            roles["one"] = later
            await _submit(ask, [Update(kinds.CLUSTER_ROLE, role("one", *later))])
            is_same_as_naive(ask, roles, bindings)
            gone = data.draw(st.sampled_from(bindings)) if bindings else None
            if gone is not None:
                bindings.remove(gone)
                await _submit(ask, [_deletion(gone)])
                is_same_as_naive(ask, roles, bindings)

    asyncio.run(run())


def _bound(name: str, role_name: str, namespace: str, subjects: list[str]) -> Doc:
    doc = binding(name, role_name, *subjects)
    if namespace:
        doc["metadata"]["namespace"] = namespace
    return doc


def _kind(doc: Doc) -> kinds.Kind:
    return kinds.ROLE_BINDING if "namespace" in doc["metadata"] else kinds.CLUSTER_ROLE_BINDING


def _deletion(doc: Doc) -> Delete:
    return Delete(_kind(doc), doc["metadata"].get("namespace", ""), doc["metadata"]["name"])


async def _submit(ask: Kube, operations: list[Any]) -> None:
    for answer in await ask.registry.submit(ADMIN, operations):
        assert isinstance(answer, dict), answer


async def test_a_role_of_a_namespace_is_bound_there_and_means_nothing_elsewhere() -> None:
    async with kube() as ask:
        here = f"{RBAC}/namespaces/default"
        await made(ask, f"{here}/roles", role("reader", rule("get list", "pods")))
        await made(ask, f"{here}/rolebindings", binding("r", "reader", "user:jane", kind="Role"))
        ask.user = JANE
        assert (await ask("GET", "/api/v1/namespaces/default/pods")).status == 200
        refused(await ask("GET", "/api/v1/pods"), 'User "jane" cannot list', "at the cluster scope")
        refused(await ask("GET", "/api/v1/namespaces/other/pods"), 'in the namespace "other"')


async def test_names_limit_what_has_a_name() -> None:
    async with kube() as ask:
        await grant(
            ask, "user:jane", rule("get watch list create delete", "configmaps", names="mine")
        )
        ask.user = JANE
        maps = "/api/v1/namespaces/default/configmaps"
        assert (await ask("GET", f"{maps}/mine")).status == 404
        refused(await ask("GET", f"{maps}/others"))
        refused(await ask("GET", maps))
        assert (await ask("GET", f"{maps}?fieldSelector=metadata.name=mine")).status == 200
        # Who creates has not said a name yet, when it is asked whether they may.
        refused(await ask("POST", maps, {"metadata": {"name": "mine"}}), "cannot create resource")


async def test_who_may_delete_a_collection_need_not_list_it() -> None:
    async with kube() as ask:
        maps = "/api/v1/namespaces/default/configmaps"
        for name in ("a", "b"):
            await made(ask, maps, {"metadata": {"name": name}})
        await grant(ask, "user:jane", rule("deletecollection", "configmaps"))
        ask.user = JANE
        refused(await ask("GET", maps), "cannot list resource")
        refused(await ask("DELETE", f"{maps}/a"), "cannot delete resource")
        answer = await ask("DELETE", f"{maps}?fieldSelector=metadata.name=a")
        assert answer.status == 200, answer.doc
        left = ask.registry.cache.all(kinds.CONFIG_MAP)
        assert [doc["metadata"]["name"] for doc in left] == ["b"]


@pytest.mark.parametrize(
    ("granted", "below_pod", "collected"), [("pods/binding", 201, 403), ("bindings", 403, 201)]
)
async def test_bindings_of_pods_are_two_resources(
    granted: str, below_pod: int, collected: int
) -> None:
    async with kube() as ask:
        here = "/api/v1/namespaces/default"
        await made(ask, "/api/v1/nodes", {"metadata": {"name": "n1"}})
        for name in ("p", "q"):
            await made(ask, f"{here}/pods", pod(name))
        await grant(ask, "user:jane", rule("create", granted))
        ask.user = JANE
        for path, name, expected in (
            (f"{here}/pods/p/binding", "p", below_pod), (f"{here}/bindings", "q", collected),
        ):  # fmt: skip
            body = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}}
            assert (await ask("POST", path, body)).status == expected, path


async def test_paths_are_granted_by_cluster_bindings_alone() -> None:
    async with kube() as ask:
        paths = {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/openapi/*"]}
        await grant(ask, "user:jane", paths, namespace="default")
        ask.user = JANE
        refused(await ask("GET", "/metrics"), 'User "jane" cannot get path "/metrics"')
        await grant(ask, "user:jane", paths)
        assert (await ask("GET", "/metrics")).status == 200
        assert (await ask("GET", "/openapi/v3")).status == 200
        refused(await ask("GET", "/openapiv3"))
        refused(await ask("POST", "/metrics"), "cannot post path")


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("user:jane", 'ClusterRoleBinding "{name}" of ClusterRole "{name}" to User "jane"'),
        ("group:dev", 'ClusterRoleBinding "{name}" of ClusterRole "{name}" to Group "dev"'),
    ],
)
async def test_a_review_says_by_which_binding(who: str, reason: str) -> None:
    async with kube() as ask:
        name = f"granted-{ask.registry.cache.revision}"
        await grant(ask, who, rule("get", "pods"))
        verdict = ask.registry.permission.judge(JANE, Wish("get", "", "pods", "default"))
        assert verdict[:2] == (True, "RBAC: allowed by " + reason.format(name=name))


async def test_a_review_names_binding_and_account_of_a_namespace() -> None:
    async with kube() as ask:
        here = f"{RBAC}/namespaces/default/rolebindings"
        await made(ask, f"{RBAC}/clusterroles", role("view-pods", rule("get", "pods")))
        doc = binding("robots", "view-pods", "account:default/robot")
        await made(ask, here, doc)
        verdict = ask.registry.permission.judge(ROBOT, Wish("get", "", "pods", "default"))
        assert verdict.reason == (
            'RBAC: allowed by RoleBinding "robots/default" of ClusterRole "view-pods" '
            'to ServiceAccount "robot/default"'
        )


async def test_without_roles_nobody_but_masters_may_do_anything() -> None:
    async with kube() as ask:
        ask.user = JANE
        refused(await ask("GET", "/api"), 'User "jane" cannot get path "/api"')
        ask.user = None
        refused(await ask("GET", "/version"), "system:anonymous")
        assert (await ask("GET", "/healthz")).status == 200


async def test_anybody_may_read_the_version_and_nothing_else() -> None:
    async with kube(roles=True) as ask:
        ask.user = None
        assert (await ask("GET", "/version")).status == 200
        for path in ("/api", "/apis", "/metrics", "/api/v1/namespaces", "/openapi/v3"):
            assert (await ask("GET", path)).status == 401, path
        assert (await ask("GET", "/version", authorization="Bearer nonsense")).status == 401


async def test_questions_do_not_fill_the_memory() -> None:
    async with kube(roles=True) as ask:
        permission = ask.registry.permission
        for number in range(2000):
            permission.judge(JANE, Wish(f"verb-{number}", "", "pods", "default"))
            permission.judge(User(f"user-{number}"), Wish("get", "", "pods", "default"))
        assert permission.holdings(JANE).reaches == {}
        permission.allowed(JANE, Wish("get", "", "pods"))
        permission.allowed(JANE, Wish("v" * 300, "", "pods"))
        assert [*permission.holdings(JANE).reaches] == [("get", "", "pods", "")]
