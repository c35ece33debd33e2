"""What is served, as clients discover it: /api, /apis, and both in one aggregated document. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects.kinds import Doc, Kind, Kinds

# Subresources: the kind that they take or give where it is another, and their verbs.
_SUBRESOURCES: dict[str, tuple[tuple[str, str, str] | None, tuple[str, ...]]] = {
    "approval": (None, ("get", "patch", "update")),
    "attach": (("", "v1", "PodAttachOptions"), ("create", "get")),
    "binding": (("", "v1", "Binding"), ("create",)),
    "ephemeralcontainers": (None, ("get", "patch", "update")),
    "eviction": (("policy", "v1", "Eviction"), ("create",)),
    "exec": (("", "v1", "PodExecOptions"), ("create", "get")),
    "finalize": (None, ("update",)),
    "log": (None, ("get",)),
    "portforward": (("", "v1", "PodPortForwardOptions"), ("create", "get")),
    "proxy": (None, ("create", "delete", "get", "patch", "update")),
    "resize": (None, ("get", "patch", "update")),
    "scale": (("autoscaling", "v1", "Scale"), ("get", "patch", "update")),
    "status": (None, ("get", "patch", "update")),
    "token": (("authentication.k8s.io", "v1", "TokenRequest"), ("create",)),
}
# What a proxied request is about, by the kind that is proxied to.
_PROXIED = {
    "pods": "PodProxyOptions",
    "services": "ServiceProxyOptions",
    "nodes": "NodeProxyOptions",
}


def groups(kinds: Kinds) -> dict[str, list[str]]:
    """The versions of each group, the preferred one first."""
    found: dict[str, list[str]] = {}
    for kind in kinds:
        versions = found.setdefault(kind.group, [])
        if kind.version not in versions:
            versions.append(kind.version)
    return found


def core_versions(address: str) -> Doc:
    """/api"""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list(kinds: Kinds, more: Iterable[tuple[str, str]] = ()) -> Doc:
    """/apis. more: groups that are no kinds', with their version."""
    listed = [_group(name, versions) for name, versions in groups(kinds).items() if name]
    listed += [_group(name, [version]) for name, version in more]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group(kinds: Kinds, name: str, more: Iterable[tuple[str, str]] = ()) -> Doc | None:
    """/apis/GROUP"""
    versions = groups(kinds).get(name) or [version for one, version in more if one == name]
    if not name or not versions:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: list[str]) -> Doc:
    listed = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def resource_list(kinds: Kinds, group: str, version: str) -> Doc | None:
    """/api/v1 and /apis/GROUP/VERSION"""
    served = _served(kinds, group, version)
    if not served:
        return None
    resources = [entry for kind in served for entry in _entries(kind)]
    return listing(served[0].api_version, resources)


def listing(group_version: str, resources: list[Doc]) -> Doc:
    """The form of a list of resources."""
    return {
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": group_version, "resources": resources,
    }  # fmt: skip


def _served(kinds: Kinds, group: str, version: str) -> list[Kind]:
    found = [k for k in kinds if (k.group, k.version) == (group, version)]
    return sorted(found, key=lambda kind: kind.plural)


def _entries(kind: Kind) -> Iterable[Doc]:
    entry: Doc = {
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
        "kind": kind.name, "verbs": list(kind.verbs),
    }  # fmt: skip
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    yield entry
    for name in kind.subresources:
        other, allowed = below(kind, name)
        entry = {
            "name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced,
            "kind": other[2] if other else kind.name, "verbs": list(allowed),
        }  # fmt: skip
        if other and (other[0], other[1]) != (kind.group, kind.version):
            entry |= {"group": other[0], "version": other[1]}
        yield entry


def below(kind: Kind, subresource: str) -> tuple[tuple[str, str, str] | None, tuple[str, ...]]:
    """Group, version and kind of what a subresource takes or gives, None if it is the object
    itself; and the verbs of it."""
    other, allowed = _SUBRESOURCES[subresource]
    return ("", "v1", _PROXIED[kind.plural]) if subresource == "proxy" else other, allowed


def aggregated(kinds: Kinds, version: str, *, core: bool) -> Doc:
    """Everything below /api (core) or /apis at once; version is v2 or v2beta1."""
    items = []
    for name, versions in groups(kinds).items():
        if (name == "") == core:
            items.append({
                "metadata": {"name": name, "creationTimestamp": None},
                "versions": [_aggregated_version(kinds, name, one) for one in versions],
            })  # fmt: skip
    return {
        "kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {}, "items": items,
    }  # fmt: skip


def aggregated_alone(group: str, version: str) -> Doc:
    """A group that is no kinds': what it lists changes all the time, and is told at its own path."""
    return {
        "metadata": {"name": group, "creationTimestamp": None},
        "versions": [{"version": version, "resources": [], "freshness": "Current"}],
    }


def _aggregated_version(kinds: Kinds, group: str, version: str) -> Doc:
    resources = [_aggregated_resource(kind) for kind in _served(kinds, group, version)]
    return {"version": version, "resources": resources, "freshness": "Current"}


def _aggregated_resource(kind: Kind) -> Doc:
    own = (kind.group, kind.version, kind.name)
    resource: Doc = {
        "resource": kind.plural, "responseKind": _gvk(own),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular, "verbs": list(kind.verbs),
    }  # fmt: skip
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    if kind.subresources:
        resource["subresources"] = [
            {
                "subresource": name,
                "responseKind": _gvk(other or own),
                "verbs": list(allowed),
            }
            for name in kind.subresources
            for other, allowed in (below(kind, name),)
        ]
    return resource


def _gvk(of: tuple[str, str, str]) -> Doc:
    return {"group": of[0], "version": of[1], "kind": of[2]}
