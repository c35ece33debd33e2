"""How the tables of default roles are written, and the documents that come of them.

A row is (verbs, API groups, resources) or (verbs, API groups, resources, names) or (verbs, URLS,
paths), each a text of words; the group "core" stands for the one without a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from longshore.core.objects.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE,
    ROLE_BINDING,
    Doc,
    Kind,
)

Row: TypeAlias = tuple[str, ...]
Table: TypeAlias = Mapping[str, tuple[Row, ...]]

GROUP = ROLE.group
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
URLS, CORE = "URLS", "core"

READ = "get list watch"
WRITE = "create delete deletecollection patch update"
READ_WRITE = "create delete deletecollection get list patch update watch"
READ_UPDATE = "get list patch update watch"
TELL = "create patch update"
EVENTS: Row = (TELL, "core events.k8s.io", "events")


def groups(row: Row) -> list[str]:
    """The API groups of a row."""
    return ["" if group == CORE else group for group in row[1].split()]


def rule(row: Row) -> Doc:
    """A row as a PolicyRule."""
    if row[1] == URLS:
        return {"verbs": row[0].split(), "nonResourceURLs": row[2].split()}
    made = {"verbs": row[0].split(), "apiGroups": groups(row), "resources": row[2].split()}
    return made | {"resourceNames": row[3].split()} if len(row) > 3 else made


def role(kind: Kind, name: str, rows: Iterable[Row], namespace: str = "") -> Doc:
    """A default Role or ClusterRole."""
    assert kind in (ROLE, CLUSTER_ROLE)
    return _document(kind, name, namespace) | {"rules": [rule(row) for row in rows]}


def binding(
    kind: Kind, name: str, subjects: Iterable[str], namespace: str = "", role_name: str = ""
) -> Doc:
    """A default binding, to the role of its own name unless another is given. Subjects are written
    as group:NAME, user:NAME or account:NAMESPACE/NAME."""
    of = CLUSTER_ROLE if kind is CLUSTER_ROLE_BINDING else ROLE
    assert kind in (ROLE_BINDING, CLUSTER_ROLE_BINDING)
    ref = {"apiGroup": GROUP, "kind": of.name, "name": role_name or name}
    made = _document(kind, name, namespace) | {"roleRef": ref}
    found = [subject(text) for text in subjects]
    return made | {"subjects": found} if found else made


def subject(text: str) -> Doc:
    kind, _, name = text.partition(":")
    if kind == "account":
        namespace, _, name = name.partition("/")
        return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return {"kind": {"group": "Group", "user": "User"}[kind], "name": name, "apiGroup": GROUP}


def _document(kind: Kind, name: str, namespace: str) -> Doc:
    metadata: Doc = {"name": name, "labels": {**LABELS}, "annotations": {AUTOUPDATE: "true"}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}
