"""All default roles and bindings, as documents."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE,
    ROLE_BINDING,
    Doc,
    Kind,
)
from longshore.core.objects.rbac import cluster_roles, controllers, namespaced, platform
from longshore.core.objects.rbac.aggregation import gathered
from longshore.core.objects.rbac.form import binding, role


def default_objects() -> list[tuple[Kind, Doc]]:
    """Kind and document of each, roles before their bindings."""
    return objects_of_users() + objects_of_controllers()


def objects_of_users() -> list[tuple[Kind, Doc]]:
    """Those of people, nodes and components. Roles that are the sum of others are summed up
    already."""
    plain = list(_cluster_roles())
    return [
        *((CLUSTER_ROLE, doc) for doc in plain + _sums(plain)),
        *((ROLE, doc) for doc in _roles()),
        *((CLUSTER_ROLE_BINDING, doc) for doc in _cluster_bindings()),
        *((ROLE_BINDING, doc) for doc in _bindings()),
    ]


def objects_of_administrators() -> list[tuple[Kind, Doc]]:
    """Of those of users what an administrator's first request needs."""
    name = platform.ADMINISTRATORS
    role_name, subject = platform.BINDINGS[name]
    rows = cluster_roles.ROLES[role_name]
    bound = binding(CLUSTER_ROLE_BINDING, name, [subject], role_name=role_name)
    return [(CLUSTER_ROLE, role(CLUSTER_ROLE, role_name, rows)), (CLUSTER_ROLE_BINDING, bound)]


def objects_of_controllers() -> list[tuple[Kind, Doc]]:
    """Those of upstream's controllers, which are part of the server here."""
    found: list[tuple[Kind, Doc]] = []
    for account, rows in controllers.ROLES.items():
        name, subject = controllers.PREFIX + account, f"account:{controllers.NAMESPACE}/{account}"
        found.append((CLUSTER_ROLE, role(CLUSTER_ROLE, name, rows)))
        found.append((CLUSTER_ROLE_BINDING, binding(CLUSTER_ROLE_BINDING, name, [subject])))
    return found


def _cluster_roles() -> Iterator[Doc]:
    for name, rows in cluster_roles.ROLES.items():
        doc = role(CLUSTER_ROLE, name, rows)
        if name in cluster_roles.LABELLED:
            doc["metadata"]["labels"][cluster_roles.LABELLED[name]] = "true"
        yield doc


def _sums(plain: list[Doc]) -> list[Doc]:
    sums: list[Doc] = []
    # The smallest first, as each greater one gathers the one before.
    for name, (gathers, carries) in reversed(cluster_roles.GATHERED.items()):
        doc = role(CLUSTER_ROLE, name, ())
        if carries:
            doc["metadata"]["labels"][carries] = "true"
        doc["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {gathers: "true"}}]}
        doc["rules"] = gathered(doc, plain + sums)
        sums.append(doc)
    return sums


def _roles() -> Iterator[Doc]:
    for namespace, table in namespaced.ROLES.items():
        for name, rows in table.items():
            yield role(ROLE, name, rows, namespace)


def _cluster_bindings() -> Iterator[Doc]:
    for name, subjects in cluster_roles.BINDINGS.items():
        yield binding(CLUSTER_ROLE_BINDING, name, subjects.split())
    for name, (role_name, subjects) in platform.BINDINGS.items():
        yield binding(CLUSTER_ROLE_BINDING, name, subjects.split(), role_name=role_name)


def _bindings() -> Iterator[Doc]:
    for (namespace, name), (role_name, subjects) in namespaced.BINDINGS.items():
        yield binding(ROLE_BINDING, name, subjects.split(), namespace, role_name)
