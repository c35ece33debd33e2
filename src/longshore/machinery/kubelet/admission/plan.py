"""Does a node take a pod that was bound to it? Pure: pod and node in, Verdict out.

Binders look at a picture of the node that may be old, and some look at none at all. What a node refuses
is Failed for good. Sources: pkg/kubelet/lifecycle/predicate.go (words and order), pkg/kubelet/sysctl.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import node_requirement
from longshore.core.objects.taints import taints_of, tolerated, tolerations_of
from longshore.machinery.kubelet.admission.room import Room
from longshore.machinery.kubelet.admission.sysctls import forbidden_sysctl
from longshore.machinery.kubelet.lifecycle.model import Verdict, is_static

_OS = "kubernetes.io/os"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
AFFINITY, TAINT = "NodeAffinity", "TaintToleration"
BY_THE_NODE = (AFFINITY, TAINT)
"""Reasons that go by the Node object, of which one may not have heard the latest."""
_AFFINITY = (
    AFFINITY,
    "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
)
_TAINT = (
    TAINT,
    "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
)


@dataclass(frozen=True, slots=True)
class Site:
    """A node: its object, what pods may have of it (as pod_requests counts), and which sysctls
    somebody has allowed besides the safe ones (patterns that may end in *)."""

    node: Doc
    allocatable: Mapping[str, int] = field(default_factory=dict)
    unsafe_sysctls: tuple[str, ...] = ()


def refusal(pod: Doc, site: Site, room: Room) -> Verdict | None:
    """Why the pod is not taken; the message is that of its event."""
    spec = pod["spec"]
    if (why := forbidden_sysctl(spec, site.unsafe_sysctls)) is not None:
        return Verdict("SysctlForbidden", f"forbidden sysctl: {why}")
    if (pod["metadata"].get("labels") or {}).get(_OS, "linux") != "linux":
        why = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"
        return Verdict("PodOSSelectorNodeLabelDoesNotMatch", why)
    if (spec.get("os") or {}).get("name", "linux") != "linux":
        return Verdict(
            "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
        )
    if (short := room.shortage(pod["metadata"]["uid"], spec, site.allocatable)) is not None:
        return Verdict(f"OutOf{short.resource}", str(short))
    if not matches_node(spec, site.node):
        return Verdict(*_AFFINITY)
    if not is_static(pod) and not _is_tolerated(spec, site.node):
        return Verdict(*_TAINT)
    return None


def rejected(verdict: Verdict) -> Verdict:
    """As the pod's status tells of it."""
    return Verdict(verdict.reason, f"Pod was rejected: {verdict.message}")


def counted_as(reason: str) -> str:
    """The label under which a refusal is counted: resources that anybody may name are one."""
    own = ("OutOfcpu", "OutOfmemory", "OutOfpods", "OutOfephemeral-storage")
    return "OutOfExtendedResources" if reason.startswith("OutOf") and reason not in own else reason


def _is_tolerated(spec: Doc, node: Doc) -> bool:
    """Only taints that drive pods away matter here: a node may close itself to new ones after one was
    bound."""
    taints = [taint for taint in taints_of(node) if taint.effect == "NoExecute"]
    if not taints:
        return True
    tolerations = tolerations_of(spec)
    return all(tolerated(taint, tolerations) for taint in taints)


def matches_node(spec: Doc, node: Doc) -> bool:
    """Whether the node has the labels that a pod selects (component-helpers/scheduling/corev1/
    nodeaffinity: GetRequiredNodeAffinity)."""
    metadata = node.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    if required is None:
        return True
    terms = required.get("nodeSelectorTerms") or ()
    return any(_term(term, labels, metadata.get("name", "")) for term in terms)


def _term(term: Doc, labels: Mapping[str, str], name: str) -> bool:
    """An empty term means no node at all."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not (expressions or fields):
        return False
    return all(node_requirement(one).matches(labels) for one in expressions) and all(
        node_requirement(one).matches({one["key"]: name}) for one in fields
    )
