"""Controls about roles and service accounts (5.1)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.cluster.audit_config.evidence import Evidence
from longshore.cluster.audit_config.rights import (
    Grant,
    Right,
    allows,
    grants_beyond_defaults,
    own_rules,
)
from longshore.cluster.audit_config.verdicts import (
    Check,
    Control,
    Verdict,
    failed,
    manual,
    passed,
    some,
    unless,
)
from longshore.cluster.audit_config.workloads import of_users
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

ADMIN, _MASTERS = "cluster-admin", "system:masters"
_CHANGES = ("create", "update", "patch", "delete", "deletecollection")
# Who is bound to be somebody else than meant.
_EVERYBODY = (
    "Group system:authenticated",
    "Group system:unauthenticated",
    "Group system:serviceaccounts",
    "User system:anonymous",
)


def held_by_few(what: str, *rights: Right) -> Check:
    """Passes where the default roles' holders alone have one of the rights; it is for a person to
    say whether others need it, unless these are everybody."""

    def check(evidence: Evidence) -> Verdict:
        grants = grants_beyond_defaults(evidence)
        return _few(what, [g for g in grants if any(allows(g.rule, right) for right in rights)])

    return check


def _few(what: str, grants: list[Grant]) -> Verdict:
    everybody = {grant.subject for grant in grants if _is_everybody(grant.subject)}
    if everybody:
        return failed(f"everybody may {what}: {some(everybody)}")
    if not grants:
        return passed(f"nobody but the holders of default bindings may {what}")
    holders = {f"{one.subject} ({one.namespace or 'everywhere'})" for one in grants}
    return manual(f"may {what}: {some(holders)}; do they need it?")


def _is_everybody(subject: str) -> bool:
    return subject.startswith(_EVERYBODY) or _is_default_account(subject)


def _is_default_account(subject: str) -> bool:
    return subject.startswith("ServiceAccount ") and subject.endswith("/default")


def _cluster_admin(evidence: Evidence) -> Verdict:
    grants = grants_beyond_defaults(evidence)
    return _few(f"do everything ({ADMIN})", [one for one in grants if one.role == ADMIN])


def _wildcards(evidence: Evidence) -> Verdict:
    roles = [*evidence.all(kinds.CLUSTER_ROLE), *evidence.all(kinds.ROLE)]
    wild = [_named(role) for role in roles if any(_is_wild(rule) for rule in own_rules(role))]
    return unless(wild, "no role but the default ones has a *", "rules with a *: {}")


def _is_wild(rule: Doc) -> bool:
    return any("*" in (rule.get(part) or ()) for part in ("verbs", "apiGroups", "resources"))


def _default_accounts(evidence: Evidence) -> Verdict:
    bound = {
        grant.subject
        for grant in grants_beyond_defaults(evidence)
        if _is_default_account(grant.subject)
    }
    if bound:
        return failed(f"roles are bound to default accounts: {some(bound)}")
    carrying = [_named(pod) for pod, account in _with_token(evidence) if account == "default"]
    good = "no role is bound to a default account, and no pod carries the token of one"
    return unless(carrying, good, "pods carry the token of their namespace's default account: {}")


def _tokens(evidence: Evidence) -> Verdict:
    able = {grant.subject for grant in grants_beyond_defaults(evidence)}
    idle = [
        _named(pod)
        for pod, account in _with_token(evidence)
        if f"ServiceAccount {pod['metadata']['namespace']}/{account}" not in able
    ]
    good = "every pod that carries a token has an account to which a role is bound"
    bad = "pods carry a token that no role is bound to (automountServiceAccountToken: false): {}"
    return unless(idle, good, bad)


def _with_token(evidence: Evidence) -> Iterator[tuple[Doc, str]]:
    """Pods into which a token is mounted, and the name of their account."""
    for pod in of_users(evidence):
        for volume in pod["spec"].get("volumes") or ():
            sources = (volume.get("projected") or {}).get("sources") or ()
            if any("serviceAccountToken" in source for source in sources):
                yield pod, pod["spec"].get("serviceAccountName", "default")
                break


def _masters(evidence: Evidence) -> Verdict:
    bound = {g.subject for g in grants_beyond_defaults(evidence) if _MASTERS in g.subject}
    if bound:
        return failed("roles are bound to system:masters, which needs none")
    if _MASTERS in evidence.administrators:
        return manual(
            "the cluster's kubeconfig is of that group, beyond all roles: delete pki/admin.crt and "
            "start the cluster again, then a binding makes the administrator"
        )
    return passed(
        "a binding that can be taken away makes the administrator; that group is for emergencies "
        "(super-admin.kubeconfig) and for the server itself"
    )


def _named(doc: Doc) -> str:
    metadata = doc["metadata"]
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


_READS = ("get", "list", "watch")
_HOOKS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")

PERMISSIONS = (
    Control("5.1.1", "few are cluster-admin", _cluster_admin),
    Control("5.1.2", "few read secrets", held_by_few("read secrets", Right(_READS, "", ("secrets",)))),
    Control("5.1.3", "no wildcards in roles", _wildcards),
    Control("5.1.4", "few create pods", held_by_few("create pods", Right(("create",), "", ("pods",)))),
    Control("5.1.5", "default accounts are not used", _default_accounts),
    Control("5.1.6", "tokens only where they are needed", _tokens),
    Control("5.1.7", "system:masters is avoided", _masters),
    Control("5.1.8", "few bind, escalate or impersonate", held_by_few(
        "bind, escalate or impersonate",
        Right(("bind", "escalate"), "rbac.authorization.k8s.io", ("roles", "clusterroles")),
        Right(("impersonate",), "", ("users", "groups", "serviceaccounts")),
    )),
    Control("5.1.9", "few create persistent volumes", held_by_few(
        "create persistent volumes", Right(("create",), "", ("persistentvolumes",)),
    )),
    Control("5.1.10", "few reach nodes through the proxy", held_by_few(
        "use nodes/proxy", Right(("get", "create"), "", ("nodes/proxy",)),
    )),
    Control("5.1.11", "few approve certificates", held_by_few(
        "approve certificates",
        Right(("update", "patch"), "certificates.k8s.io", ("certificatesigningrequests/approval",)),
    )),
    Control("5.1.12", "few change admission webhooks", held_by_few(
        "change admission webhooks", Right(_CHANGES, "admissionregistration.k8s.io", _HOOKS),
    )),
    Control("5.1.13", "few issue tokens of accounts", held_by_few(
        "issue tokens of accounts", Right(("create",), "", ("serviceaccounts/token",)),
    )),
)  # fmt: skip
