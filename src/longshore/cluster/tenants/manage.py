"""Tenants of a running cluster, made, listed, shown and deleted as its administrator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from longshore.cluster.client.administrator import with_admin
from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths, default_root
from longshore.cluster.tenants.template import Request, kind_of, rendered
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, NotFound, Unavailable
from longshore.core.objects.kinds import Doc
from longshore.core.objects.podsecurity.policy import PREFIX
from longshore.core.registry.admission.namespaces import TENANT_LABEL
from longshore.core.registry.client import Delete, DeleteOptions
from longshore.doors.kubernetes.client import HttpClient

_MANAGER = "longshore-tenant"
_TEMPLATE = Path(__file__).with_name("template.yaml")
_SHOWN = (kinds.RESOURCE_QUOTA, kinds.LIMIT_RANGE, kinds.NETWORK_POLICY, kinds.ROLE_BINDING)
_COUNTED = ("pods", "requests.cpu", "requests.memory")


def planned(request: Request, template: Path | None) -> list[Doc]:
    """The objects that create would apply. Raises ClusterError."""
    try:
        return rendered(request, (template or _TEMPLATE).read_bytes())
    except OSError as error:
        raise ClusterError(f"--template: {template}: {error.strerror}") from None


def create(name: str, root: Path | None, docs: Sequence[Doc], *, update: bool) -> list[str]:
    """Apply a tenant's objects; what was applied, as KIND/NAME. A namespace that exists is taken
    only with update, and only if it is a tenant's. Raises ClusterError."""

    async def ask(client: HttpClient) -> list[str]:
        await _check_free(client, docs[0]["metadata"]["name"], update=update)
        return await _apply(client, docs)

    return with_admin(*_cluster(name, root), ask)


def listed(name: str, root: Path | None) -> list[dict[str, Any]]:
    """Of each tenant name, state, level, and used and hard amounts of what is counted."""

    async def ask(client: HttpClient) -> list[dict[str, Any]]:
        namespaces = await client.list(kinds.NAMESPACE, labels=TENANT_LABEL)
        quotas: dict[str, list[Doc]] = {}
        for quota in (await client.list(kinds.RESOURCE_QUOTA)).items:
            quotas.setdefault(quota["metadata"]["namespace"], []).append(quota)
        return [_summary(doc, quotas.get(doc["metadata"]["name"], [])) for doc in namespaces.items]

    return with_admin(*_cluster(name, root), ask)


def shown(name: str, root: Path | None, tenant: str) -> dict[str, Any]:
    """What list tells of one tenant, who may use it, and the names of its limits and policies.
    Raises ClusterError."""

    async def ask(client: HttpClient) -> dict[str, Any]:
        namespace = await _tenant(client, tenant)
        found = {kind: (await client.list(kind, tenant)).items for kind in _SHOWN}
        return _summary(namespace, found[kinds.RESOURCE_QUOTA]) | {
            "limitRanges": _names(found[kinds.LIMIT_RANGE]),
            "networkPolicies": _names(found[kinds.NETWORK_POLICY]),
            "access": [_access(doc) for doc in found[kinds.ROLE_BINDING]],
        }

    return with_admin(*_cluster(name, root), ask)


def delete(name: str, root: Path | None, tenant: str) -> None:
    """Delete a tenant's namespace and so all that is in it. Raises ClusterError, also for a
    namespace that is no tenant's."""

    async def ask(client: HttpClient) -> None:
        namespace = await _tenant(client, tenant)
        options = DeleteOptions(uid=namespace["metadata"]["uid"])
        await client.write(Delete(kinds.NAMESPACE, "", tenant, options))

    with_admin(*_cluster(name, root), ask)


# --- asking ---


def _cluster(name: str, root: Path | None) -> tuple[ClusterConfig, ClusterPaths]:
    paths = ClusterPaths(root or default_root(), name)
    return paths.load(), paths


async def _tenant(client: HttpClient, tenant: str) -> Doc:
    try:
        doc = await client.get(kinds.NAMESPACE, "", tenant)
    except NotFound:
        doc = {"metadata": {}}
    if TENANT_LABEL not in doc["metadata"].get("labels", {}):
        raise ClusterError(f"no tenant has the name {tenant!r}: longshore tenant list shows them")
    return doc


async def _check_free(client: HttpClient, tenant: str, *, update: bool) -> None:
    try:
        doc = await client.get(kinds.NAMESPACE, "", tenant)
    except NotFound:
        return
    if TENANT_LABEL not in doc["metadata"].get("labels", {}):
        raise ClusterError(f"the namespace {tenant!r} exists and is no tenant's; use another name")
    if "deletionTimestamp" in doc["metadata"]:
        raise ClusterError(f"the tenant {tenant!r} is being deleted; try again when it is gone")
    if not update:
        raise ClusterError(f"the tenant {tenant!r} exists; --update applies the template to it")


async def _apply(client: HttpClient, docs: Sequence[Doc]) -> list[str]:
    """One after the other, since the order matters."""
    applied: list[str] = []
    for doc in docs:
        title = f"{doc['kind']}/{doc['metadata']['name']}"
        try:
            await client.apply(kind_of(doc), doc, _MANAGER)
        except Unavailable:
            raise
        except ApiError as error:
            there = ", ".join(applied) or "nothing"
            raise ClusterError(f"{title}: {error} (applied so far: {there})") from None
        applied.append(title)
    return applied


# --- telling ---


def _names(docs: Sequence[Doc]) -> list[str]:
    return [doc["metadata"]["name"] for doc in docs]


def _summary(namespace: Doc, quotas: Sequence[Doc]) -> dict[str, Any]:
    metadata = namespace["metadata"]
    return {
        "name": metadata["name"],
        "state": namespace.get("status", {}).get("phase", ""),
        "created": metadata["creationTimestamp"],
        "podSecurity": metadata["labels"].get(f"{PREFIX}enforce", ""),
        "quota": {what: _amount(quotas, what) for what in _COUNTED},
    }


def _amount(quotas: Sequence[Doc], what: str) -> dict[str, str]:
    """Of the first quota that bounds it; both empty if none does."""
    for quota in quotas:
        hard = quota["spec"].get("hard", {})
        if what in hard:
            used = quota.get("status", {}).get("used", {})
            return {"used": used.get(what, "0"), "hard": hard[what]}
    return {"used": "", "hard": ""}


def _access(binding: Doc) -> dict[str, Any]:
    subjects = [_subject(one) for one in binding.get("subjects", [])]
    return {"role": binding["roleRef"]["name"], "subjects": subjects}


def _subject(subject: Doc) -> str:
    """As --admin takes it; a service account as the user that it is."""
    match subject["kind"]:
        case "Group":
            return f"group:{subject['name']}"
        case "ServiceAccount":
            return f"system:serviceaccount:{subject.get('namespace', '')}:{subject['name']}"
    return str(subject["name"])
