"""Every group and version that is served, as the APIServices that say so.

The priorities are upstream's (pkg/controlplane/apiserver/aggregator.go and
cmd/kube-apiserver/app/aggregator.go): clients prefer the higher.
"""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects.kinds import API_SERVICE, Doc, Kind

_AUTOMANAGED = {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
# Upstream's, in its order; a group that upstream does not know comes last.
_PRIORITIES = {
    "": 18_000, "apps": 17_800, "events.k8s.io": 17_750, "authentication.k8s.io": 17_700,
    "authorization.k8s.io": 17_600, "autoscaling": 17_500, "batch": 17_400,
    "certificates.k8s.io": 17_300, "networking.k8s.io": 17_200, "policy": 17_100,
    "rbac.authorization.k8s.io": 17_000, "storage.k8s.io": 16_800,
    "apiextensions.k8s.io": 16_700, "admissionregistration.k8s.io": 16_700,
    "scheduling.k8s.io": 16_600, "coordination.k8s.io": 16_500, "node.k8s.io": 16_300,
    "discovery.k8s.io": 16_200, "flowcontrol.apiserver.k8s.io": 16_100,
    "resource.k8s.io": 16_200, "storagemigration.k8s.io": 15_800, "metrics.k8s.io": 100,
    "network.longshore.io": 100,
}  # fmt: skip
_LAST_PRIORITY = 1000
_VERSION_PRIORITIES = {
    ("", "v1"): 1, ("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    ("resource.k8s.io", "v1"): 21, ("metrics.k8s.io", "v1beta1"): 100,
}  # fmt: skip
_VERSION_PRIORITY = 15


def api_services(kinds: Iterable[Kind]) -> list[Doc]:
    """One apiregistration.k8s.io/v1 APIService for each, all served here ("Local"). As upstream,
    the group that they themselves are of is not among them."""
    served = dict.fromkeys((kind.group, kind.version) for kind in kinds)
    return [_local(*one) for one in served if one[0] != API_SERVICE.group]


def _local(group: str, version: str) -> Doc:
    spec: Doc = {
        "version": version,
        "groupPriorityMinimum": _PRIORITIES.get(group, _LAST_PRIORITY),
        "versionPriority": _VERSION_PRIORITIES.get((group, version), _VERSION_PRIORITY),
    }
    return {
        "apiVersion": API_SERVICE.api_version,
        "kind": API_SERVICE.name,
        "metadata": {"name": f"{version}.{group}", "labels": dict(_AUTOMANAGED)},
        "spec": {"group": group, **spec} if group else spec,
    }
