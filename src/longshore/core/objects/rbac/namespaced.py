"""The default Roles in system namespaces, and who has them, as tables.

Facts: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/namespace_policy.go of Kubernetes 1.37.
"""

from __future__ import annotations

from collections.abc import Mapping

from longshore.core.objects.rbac.form import EVENTS, READ, Table

ROLES: Mapping[str, Table] = {
    "kube-public": {
        "system:controller:bootstrap-signer": (
            (READ, "core", "configmaps"),
            ("update", "core", "configmaps", "cluster-info"),
            EVENTS,
        ),
    },
    "kube-system": {
        "extension-apiserver-authentication-reader": (
            (READ, "core", "configmaps", "extension-apiserver-authentication"),
        ),
        "system::leader-locking-kube-controller-manager": (
            ("create get list update watch", "coordination.k8s.io", "leases"),
            ("create get list update watch", "coordination.k8s.io", "leasecandidates"),
        ),
        "system::leader-locking-kube-scheduler": (
            ("create get list update watch", "coordination.k8s.io", "leases"),
            ("create get list update watch", "coordination.k8s.io", "leasecandidates"),
        ),
        "system:controller:bootstrap-signer": ((READ, "core", "secrets"),),
        "system:controller:cloud-provider": (("create get list watch", "core", "configmaps"),),
        "system:controller:token-cleaner": (
            ("delete get list watch", "core", "secrets"),
            EVENTS,
        ),
    },
}

_MANAGER, _SCHEDULER = "user:system:kube-controller-manager", "user:system:kube-scheduler"

BINDINGS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("kube-public", "system:controller:bootstrap-signer"): (
        "",
        "account:kube-system/bootstrap-signer",
    ),
    ("kube-system", "system::extension-apiserver-authentication-reader"): (
        "extension-apiserver-authentication-reader",
        f"{_MANAGER} {_SCHEDULER}",
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        "",
        f"{_MANAGER} account:kube-system/kube-controller-manager "
        "account:kube-system/leader-election-controller",
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        "",
        f"{_SCHEDULER} account:kube-system/kube-scheduler",
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (
        "",
        "account:kube-system/bootstrap-signer",
    ),
    ("kube-system", "system:controller:cloud-provider"): (
        "",
        "account:kube-system/cloud-provider",
    ),
    ("kube-system", "system:controller:token-cleaner"): (
        "",
        "account:kube-system/token-cleaner",
    ),
}
"""By namespace and name: the role, if it has another name, and the subjects."""
