"""All controls, in the order of their numbers: those of the CIS Kubernetes Benchmark v1.11, then
those of the Pod Security Standards (kubernetes.io/docs/concepts/security/pod-security-standards)."""

from __future__ import annotations

from longshore.cluster.audit_config.auditing import LOGGING
from longshore.cluster.audit_config.control_plane import API_SERVER, LOOPS
from longshore.cluster.audit_config.credentials import AUTHENTICATION
from longshore.cluster.audit_config.etcd import ETCD
from longshore.cluster.audit_config.files import CONTROL_PLANE_FILES, NODE_FILES
from longshore.cluster.audit_config.nodes import KUBELET, PROXY
from longshore.cluster.audit_config.permissions import PERMISSIONS
from longshore.cluster.audit_config.pod_standards import STANDARDS
from longshore.cluster.audit_config.workloads import GENERAL, POD_SECURITY

CONTROLS = (
    *CONTROL_PLANE_FILES,
    *API_SERVER,
    *LOOPS,
    *ETCD,
    *AUTHENTICATION,
    *LOGGING,
    *NODE_FILES,
    *KUBELET,
    *PROXY,
    *PERMISSIONS,
    *POD_SECURITY,
    *GENERAL,
    *STANDARDS,
)
