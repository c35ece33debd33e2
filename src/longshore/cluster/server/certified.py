"""The certificates and kubeconfigs that servers have."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.base.addresses import API_SERVICE_ADDRESS, LAN_GATEWAY
from longshore.base.clock import SystemClock
from longshore.base.users import SERVERS
from longshore.cluster import kubeconfig
from longshore.cluster.config import (
    ClusterConfig,
    ClusterPaths,
)
from longshore.core.objects.rbac.platform import ADMINISTRATORS
from longshore.core.pki.authority import Authority

API_NAMES = (
    "127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local", API_SERVICE_ADDRESS, LAN_GATEWAY,
)  # fmt: skip
MASTERS = "system:masters"


def certify_server(
    config: ClusterConfig, paths: ClusterPaths, addresses: Sequence[str]
) -> Authority:
    """Make what is missing of what servers have, and the kubeconfigs; addresses are those that others
    know them by."""
    authority = Authority(paths.pki, SystemClock())
    authority.server("server", (*API_NAMES, *addresses))
    authority.client("server-to-nodes", "longshore:server", [SERVERS])
    authority.client("admin", "longshore:admin", [ADMINISTRATORS])
    authority.client("super-admin", "longshore:super-admin", [MASTERS])
    kubeconfig.write(config, paths)
    return authority
