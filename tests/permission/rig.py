"""A door with the default roles, short words for roles and bindings, and who asks."""

from __future__ import annotations

from typing import Any

from longshore.base.users import User, account_user
from longshore.core.objects.kinds import Doc
from longshore.core.registry.identity.tokens import groups_of
from tests.doors.rig import ADMIN, Answer, Kube

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"
JANE = User("jane", ("dev", "system:authenticated"))
ROBOT = User(account_user("default", "robot"), groups_of("default"))


def node(name: str) -> User:
    return User(f"system:node:{name}", ("system:nodes", "system:authenticated"))


def rule(verbs: str, resources: str, groups: str = "", names: str = "") -> Doc:
    """Words are apart by spaces; groups "" is the core group."""
    made: Doc = {
        "verbs": verbs.split(), "resources": resources.split(), "apiGroups": groups.split() or [""],
    }  # fmt: skip
    return made | {"resourceNames": names.split()} if names else made


def role(name: str, *rules: Doc, **metadata: Any) -> Doc:
    return {"metadata": {"name": name, **metadata}, "rules": list(rules)}


def binding(name: str, role_name: str, *subjects: str, kind: str = "ClusterRole") -> Doc:
    """Subjects are user:NAME, group:NAME or account:NAMESPACE/NAME."""
    ref = {"apiGroup": GROUP, "kind": kind, "name": role_name}
    return {
        "metadata": {"name": name},
        "roleRef": ref,
        "subjects": [_subject(one) for one in subjects],
    }


def _subject(text: str) -> Doc:
    kind, _, name = text.partition(":")
    if kind == "account":
        namespace, _, name = name.partition("/")
        return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return {"kind": kind.title(), "name": name, "apiGroup": GROUP}


async def made(ask: Kube, path: str, doc: Doc) -> Doc:
    """Create as an administrator, whoever asks otherwise."""
    asker, ask.user = ask.user, ADMIN
    answer = await ask("POST", path, doc)
    ask.user = asker
    assert answer.status == 201, answer.doc
    stored: Doc = answer.doc
    return stored


async def grant(ask: Kube, who: str, *rules: Doc, namespace: str = "") -> None:
    """Give a subject those rules, everywhere or in one namespace, by a ClusterRole of its own."""
    name = f"granted-{ask.registry.cache.revision}"
    await made(ask, f"{RBAC}/clusterroles", role(name, *rules))
    where = f"namespaces/{namespace}/rolebindings" if namespace else "clusterrolebindings"
    await made(ask, f"{RBAC}/{where}", binding(name, name, who))


def refused(answer: Answer, *words: str) -> None:
    """A refusal for want of permission, which says why."""
    assert answer.status == 403, answer.doc
    assert answer.doc["reason"] == "Forbidden"
    for word in words:
        assert word in answer.doc["message"], answer.doc["message"]
