"""Nobody gives away more than they hold: every way that is known is tried, and refused with its reason."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from tests.doors.rig import kube
from tests.permission.rig import JANE, RBAC, ROBOT, binding, grant, made, refused, role, rule

ROLES, HERE = f"{RBAC}/clusterroles", f"{RBAC}/namespaces/default"
BINDINGS = f"{RBAC}/clusterrolebindings"
ATTEMPT = 'user "jane" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC'
ALL = rule("*", "*", "*")


def keeper(verbs: str) -> Doc:
    """May write roles and bindings, with these verbs."""
    return rule(verbs, "roles rolebindings clusterroles clusterrolebindings", RBAC.split("/")[2])


WRITER = keeper("get list create update patch delete")


async def test_a_role_is_made_of_what_its_maker_holds() -> None:
    async with kube() as ask:
        await grant(ask, "user:jane", WRITER, rule("get list", "pods pods/log"))
        ask.user = JANE
        assert (await ask("POST", ROLES, role("fine", rule("get", "pods")))).status == 201
        answer = await ask("POST", ROLES, role("more", rule("get delete", "pods"), ALL))
        refused(answer, 'clusterroles.rbac.authorization.k8s.io "more" is forbidden: ', ATTEMPT)
        assert '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}' in answer.doc["message"]
        assert '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}' in answer.doc["message"]
        here = role("more", rule("delete", "pods"))
        refused(await ask("POST", f"{HERE}/roles", here), ATTEMPT)


async def test_what_is_held_in_a_namespace_is_given_there_alone() -> None:
    async with kube() as ask:
        await grant(ask, "user:jane", WRITER)
        await grant(ask, "user:jane", rule("get", "secrets"), namespace="default")
        ask.user = JANE
        secrets = role("secrets", rule("get", "secrets"))
        assert (await ask("POST", f"{HERE}/roles", secrets)).status == 201
        refused(await ask("POST", ROLES, secrets), ATTEMPT)


async def test_names_and_paths_count() -> None:
    async with kube() as ask:
        path = {"verbs": ["get"], "nonResourceURLs": ["/metrics/*"]}
        await grant(ask, "user:jane", WRITER, rule("get", "secrets", names="a"), path)
        ask.user = JANE
        assert (
            await ask("POST", ROLES, role("a", rule("get", "secrets", names="a")))
        ).status == 201
        answer = await ask("POST", ROLES, role("b", rule("get", "secrets", names="a b")))
        refused(
            answer, '{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}'
        )
        refused(await ask("POST", ROLES, role("c", rule("get", "secrets"))), ATTEMPT)
        under = {"verbs": ["get"], "nonResourceURLs": ["/metrics/slis"]}
        assert (await ask("POST", ROLES, role("d", under))).status == 201
        beside = {"verbs": ["get"], "nonResourceURLs": ["/logs"]}
        refused(
            await ask("POST", ROLES, role("e", beside)),
            '{NonResourceURLs:["/logs"], Verbs:["get"]}',
        )


async def test_a_changed_role_may_not_grow_by_put_patch_or_apply() -> None:
    async with kube() as ask:
        await grant(ask, "user:jane", WRITER)
        await made(ask, ROLES, role("small"))
        ask.user = JANE
        grown = role("small", rule("get", "secrets"))
        refused(await ask("PUT", f"{ROLES}/small", grown), ATTEMPT)
        merge = {"content_type": "application/merge-patch+json"}
        refused(await ask("PATCH", f"{ROLES}/small", grown, **merge), ATTEMPT)
        applied = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
        apply = {"content_type": "application/apply-patch+yaml"}
        for name in ("small", "new"):
            answer = await ask(
                "PATCH",
                f"{ROLES}/{name}?fieldManager=jane&force=true",
                applied | role(name, ALL),
                **apply,
            )
            refused(answer, ATTEMPT)
        dry = await ask("POST", f"{ROLES}?dryRun=All", role("dry", ALL))
        refused(dry, ATTEMPT)


async def test_who_may_escalate_may() -> None:
    async with kube() as ask:
        await grant(ask, "user:jane", keeper("create update escalate"))
        ask.user = JANE
        assert (await ask("POST", ROLES, role("all", ALL))).status == 201
        refused(await ask("POST", BINDINGS, binding("all", "all", "user:jane")), ATTEMPT)


async def test_a_greater_role_is_not_bound() -> None:
    async with kube(roles=True) as ask:
        await grant(ask, "user:jane", WRITER)
        ask.user = JANE
        for path in (BINDINGS, f"{HERE}/rolebindings"):
            answer = await ask("POST", path, binding("me", "cluster-admin", "user:jane"))
            refused(answer, '"me" is forbidden: ', ATTEMPT, '{APIGroups:["*"]')


async def test_subjects_are_not_added_to_a_greater_role() -> None:
    async with kube(roles=True) as ask:
        await grant(ask, "user:jane", WRITER)
        ask.user = JANE
        more = binding("cluster-admin", "cluster-admin", "group:system:masters", "user:jane")
        refused(await ask("PUT", f"{BINDINGS}/cluster-admin", more), ATTEMPT)


async def test_who_may_bind_a_role_may_bind_that_role() -> None:
    async with kube(roles=True) as ask:
        group = RBAC.split("/")[2]
        await grant(ask, "user:jane", WRITER, rule("bind", "clusterroles", group, names="view"))
        ask.user = JANE
        assert (await ask("POST", BINDINGS, binding("me", "view", "user:jane"))).status == 201
        refused(await ask("POST", BINDINGS, binding("too", "edit", "user:jane")), ATTEMPT)


async def test_a_role_that_is_not_there_is_not_bound_ahead() -> None:
    async with kube() as ask:
        await grant(ask, "user:jane", WRITER)
        ask.user = JANE
        answer = await ask("POST", BINDINGS, binding("ahead", "later", "user:jane"))
        assert answer.status == 404
        assert answer.doc["message"] == ('clusterroles.rbac.authorization.k8s.io "later" not found')


async def test_a_label_that_is_gathered_gives_nothing_that_its_maker_lacks() -> None:
    async with kube(roles=True) as ask:
        await grant(ask, "user:jane", WRITER)
        ask.user = JANE
        labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
        answer = await ask("POST", ROLES, role("sly", rule("get", "secrets"), labels=labels))
        refused(answer, ATTEMPT)


async def test_only_who_holds_all_lets_roles_gather() -> None:
    async with kube() as ask:
        await grant(ask, "user:jane", WRITER)
        ask.user = JANE
        sum_of_all = role("sum") | {
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
        }
        why = "must have cluster-admin privileges to use the aggregationRule"
        refused(await ask("POST", ROLES, sum_of_all), why)
        await made(ask, ROLES, sum_of_all)
        refused(await ask("PUT", f"{ROLES}/sum", role("sum")), why)
        await grant(ask, "user:jane", ALL, {"verbs": ["*"], "nonResourceURLs": ["*"]})
        assert (await ask("POST", ROLES, sum_of_all | role("sum2"))).status == 201


async def test_what_the_garbage_collector_changes_needs_no_more() -> None:
    async with kube() as ask:
        await grant(ask, "user:jane", WRITER)
        there = await made(ask, ROLES, role("all", ALL))
        ask.user = JANE
        there["metadata"]["finalizers"] = ["example.com/held"]
        assert (await ask("PUT", f"{ROLES}/all", there)).status == 200
        there["metadata"]["labels"] = {"a": "b"}
        there["metadata"].pop("resourceVersion")
        refused(await ask("PUT", f"{ROLES}/all", there), ATTEMPT)


async def test_others_are_not_taken_on_without_the_right_to() -> None:
    async with kube() as ask:
        await grant(ask, "user:jane", rule("impersonate", "users", names="eve"))
        ask.user = JANE
        pods = "/api/v1/namespaces/default/pods"
        refused(await ask("GET", pods, impersonate_user="eve"), 'User "eve" cannot list')
        refused(await ask("GET", pods, impersonate_user="root"), "cannot impersonate resource")
        answer = await ask("GET", pods, impersonate_user="eve", impersonate_group="system:masters")
        refused(answer, 'groups "system:masters" is forbidden', "cannot impersonate resource")


async def test_roles_of_a_namespace_are_bound_by_who_holds_them_there() -> None:
    async with kube() as ask:
        await made(ask, f"{HERE}/roles", role("secrets", rule("get", "secrets")))
        await grant(ask, "user:jane", WRITER)
        ask.user = JANE
        mine = binding("mine", "secrets", "user:jane", kind="Role")
        refused(await ask("POST", f"{HERE}/rolebindings", mine), ATTEMPT)
        await grant(ask, "user:jane", rule("get", "secrets"), namespace="default")
        assert (await ask("POST", f"{HERE}/rolebindings", mine)).status == 201


async def test_the_right_to_bind_in_a_namespace_ends_there() -> None:
    async with kube(roles=True) as ask:
        await made(ask, "/api/v1/namespaces", {"metadata": {"name": "other"}})
        await grant(ask, "user:jane", WRITER)
        group = RBAC.split("/")[2]
        await grant(ask, "user:jane", rule("bind", "clusterroles", group), namespace="default")
        ask.user = JANE
        edit = binding("me", "edit", "user:jane")
        assert (await ask("POST", f"{HERE}/rolebindings", edit)).status == 201
        other = HERE.replace("default", "other")
        refused(await ask("POST", f"{other}/rolebindings", edit), ATTEMPT)
        refused(await ask("POST", BINDINGS, edit), ATTEMPT)


async def test_accounts_without_a_namespace_are_those_of_the_binding() -> None:
    async with kube(roles=True) as ask:
        here = binding("robots", "view", "account:default/robot")
        del here["subjects"][0]["namespace"]
        await made(ask, f"{HERE}/rolebindings", here)
        ask.user = ROBOT
        assert (await ask("GET", "/api/v1/namespaces/default/pods")).status == 200
