"""Rules for roles and their bindings (pkg/apis/rbac/validation)."""

from __future__ import annotations

from longshore.core.objects import kinds, names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.ingress import path_segment
from longshore.core.objects.rules.metadata import label_selector
from longshore.core.objects.rules.problems import ROOT, Path, Problems, Rule, UpdateRule

GROUP = "rbac.authorization.k8s.io"
_ROLE_REF: Path = (ROOT, "roleRef")
_ROLES = ("ClusterRole", "Role")


def role(doc: Doc, problems: Problems) -> None:
    for index, one in enumerate(doc.get("rules", ())):
        _policy_rule(one, ((ROOT, "rules"), index), problems, namespaced=True)


def cluster_role(doc: Doc, problems: Problems) -> None:
    for index, one in enumerate(doc.get("rules", ())):
        _policy_rule(one, ((ROOT, "rules"), index), problems, namespaced=False)
    if "aggregationRule" not in doc:
        return
    selectors = doc["aggregationRule"].get("clusterRoleSelectors", [])
    at = ((ROOT, "aggregationRule"), "clusterRoleSelectors")
    if not selectors:
        why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        problems.required(at, why)
    for index, selector in enumerate(selectors):
        label_selector(selector, (at, index), problems)


def _policy_rule(one: Doc, path: Path, problems: Problems, *, namespaced: bool) -> None:
    if not one.get("verbs"):
        problems.required((path, "verbs"), "verbs must contain at least one value")
    urls, at = one.get("nonResourceURLs"), (path, "nonResourceURLs")
    if urls:
        if namespaced:
            problems.invalid(at, urls, "namespaced rules cannot apply to non-resource URLs")
        if any(one.get(field) for field in ("apiGroups", "resources", "resourceNames")):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            problems.invalid(at, urls, why)
        return
    if not one.get("apiGroups"):
        why = "resource rules must supply at least one api group"
        problems.required((path, "apiGroups"), why)
    if not one.get("resources"):
        why = "resource rules must supply at least one resource"
        problems.required((path, "resources"), why)


def role_binding(doc: Doc, problems: Problems) -> None:
    _binding(doc, _ROLES, problems)


def cluster_role_binding(doc: Doc, problems: Problems) -> None:
    _binding(doc, ("ClusterRole",), problems)


def _binding(doc: Doc, roles: tuple[str, ...], problems: Problems) -> None:
    ref = doc.get("roleRef", {})
    if ref.get("apiGroup") != GROUP:
        problems.unsupported((_ROLE_REF, "apiGroup"), ref.get("apiGroup", ""), (GROUP,))
    if ref.get("kind") not in roles:
        problems.unsupported((_ROLE_REF, "kind"), ref.get("kind", ""), roles)
    path_segment(ref.get("name", ""), (_ROLE_REF, "name"), problems)
    for index, subject in enumerate(doc.get("subjects", ())):
        path = ((ROOT, "subjects"), index)
        _subject(subject, path, problems, namespaced="Role" in roles)


def binding_update(new: Doc, old: Doc, problems: Problems) -> None:
    """A binding to another role is another binding."""
    problems.unchanged(_ROLE_REF, new.get("roleRef"), old.get("roleRef"))


def _subject(subject: Doc, path: Path, problems: Problems, *, namespaced: bool) -> None:
    kind, name = subject.get("kind", ""), subject.get("name", "")
    group = subject.get("apiGroup", "")
    if not name:
        problems.required((path, "name"))
    if kind == "ServiceAccount":
        if name:
            problems.all_invalid((path, "name"), name, names.subdomain_problems(name))
        if group:
            problems.unsupported((path, "apiGroup"), group, ("",))
        if not namespaced and not subject.get("namespace"):
            problems.required((path, "namespace"))
    elif kind not in ("User", "Group"):
        problems.unsupported((path, "kind"), kind, ("ServiceAccount", "User", "Group"))
    elif group != GROUP:
        problems.unsupported((path, "apiGroup"), group, (GROUP,))


RULES: dict[str, Rule] = {
    kinds.ROLE.schema: role,
    kinds.CLUSTER_ROLE.schema: cluster_role,
    kinds.ROLE_BINDING.schema: role_binding,
    kinds.CLUSTER_ROLE_BINDING.schema: cluster_role_binding,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    kinds.ROLE_BINDING.schema: binding_update,
    kinds.CLUSTER_ROLE_BINDING.schema: binding_update,
}
