"""The Node authoriser: a node may do what its agent needs, and read what its pods need.

Rules: plugin/pkg/auth/authorizer/node (node_authorizer.go) of Kubernetes. Who writes what is left
to restriction.py, which sees the objects. A node of ours also routes to services itself, so it may
follow their endpoints, enforces NetworkPolicies, so it may follow those and their peers, and routes
to other nodes' pods, for which upstream's nodes have programs with names of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.rbac.cluster_roles import ROLES
from longshore.core.objects.rbac.form import groups
from longshore.core.registry.permission.needs import NodeNeeds
from longshore.core.registry.permission.references import volume_secrets
from longshore.core.registry.wishes import Wish
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame

NODE_GROUP, NODE_PREFIX = "system:nodes", "system:node:"
LEASE_NAMESPACE = "kube-node-lease"
_SERVICE_ROUTES = ("list watch", "discovery.k8s.io", "endpointslices")
# Labels, addresses and named ports, of which policies speak, and where other nodes' pods are: pods and
# nodes themselves stay closed.
_PEERS = (
    ("list watch", "networking.k8s.io", "networkpolicies"),
    ("list watch", kinds.POD_PEER.group, " ".join(kind.plural for kind in kinds.PEERS)),
)
# Verb, API group and resource of what all nodes may alike: in the role there are no wildcards.
_COMMON = frozenset(
    action
    for row in (*ROLES["system:node"], _SERVICE_ROUTES, *_PEERS)
    for action in product(row[0].split(), groups(row), row[2].split())
)
_READ = frozenset({"get", "list", "watch"})
_ON_OWN = frozenset({"get", "create", "update", "patch", "delete"})


def node_of(who: User) -> str | None:
    """The name of the node that a user is ("" if it has none); None for all others."""
    if not who.name.startswith(NODE_PREFIX) or NODE_GROUP not in who.groups:
        return None
    return who.name[len(NODE_PREFIX) :]


class NodeAuthorizer:
    """Judges wishes of nodes: refusal() is None for what is granted, else says why not."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._needs = NodeNeeds(cache)
        self._judges: dict[tuple[str, str], Callable[[str, Wish], str | None]] = {
            _resource(kinds.SECRET): self._secret,
            _resource(kinds.CONFIG_MAP): self._read_needed,
            _resource(kinds.PVC): self._claim,
            _resource(kinds.PV): self._volume,
            _resource(kinds.RESOURCE_CLAIM): self._get_needed,
            _resource(kinds.VOLUME_ATTACHMENT): self._attachment,
            _resource(kinds.SERVICE_ACCOUNT): self._account,
            _resource(kinds.LEASE): self._lease,
            _resource(kinds.CSI_NODE): self._csi_node,
            _resource(kinds.RESOURCE_SLICE): self._slice,
            _resource(kinds.NODE): self._node,
            _resource(kinds.POD): self._pod,
            _resource(kinds.POD_CERTIFICATE_REQUEST): self._certificate_request,
        }

    def applied(self, frame: Frame) -> None:
        """Something changed in the cache."""
        if frame.kind is kinds.POD:
            self._needs.applied(frame)

    def refusal(self, node: str, wish: Wish) -> str | None:
        if not node:
            return "unknown node for user"
        judge = self._judges.get((wish.group, wish.resource))
        if judge is not None:
            return judge(node, wish)
        below = f"/{wish.subresource}" if wish.subresource else ""
        return None if (wish.verb, wish.group, wish.resource + below) in _COMMON else ""

    # --- what its pods need ---

    def _read_needed(self, node: str, wish: Wish) -> str | None:
        why = _only(wish, _READ, "can only read resources of this type")
        if why is None and not wish.namespace:
            why = "can only read namespaced object of this type"
        return why if why is not None else self._needed(node, wish)

    def _get_needed(self, node: str, wish: Wish) -> str | None:
        why = _only(wish, {"get"}, "can only get individual resources of this type")
        return why if why is not None else self._needed(node, wish)

    def _needed(self, node: str, wish: Wish) -> str | None:
        if not wish.name:
            return "No Object name found"
        reference = wish.resource, wish.namespace, wish.name
        return None if self._needs.needed(node, reference) else _unrelated(node)

    def _secret(self, node: str, wish: Wish) -> str | None:
        why = self._read_needed(node, wish)
        if why == _unrelated(node) and self._mounts_with(node, wish):
            return None
        return why

    def _mounts_with(self, node: str, wish: Wish) -> bool:
        """Whether a volume that pods of the node claim is mounted with a Secret."""
        wanted = wish.namespace, wish.name
        for namespace, name in self._needs.claims(node):
            claim = self._cache.get(kinds.PVC, namespace, name)
            volume = (
                None
                if claim is None
                else self._cache.get(kinds.PV, "", claim["spec"].get("volumeName", ""))
            )
            if volume is None or _claim_of(volume) != (namespace, name):
                continue
            if wanted in volume_secrets(volume):
                return True
        return False

    def _claim(self, node: str, wish: Wish) -> str | None:
        if wish.subresource != "status":
            return self._get_needed(node, wish)
        if wish.verb not in ("update", "patch"):
            return "can only get/update/patch this type"
        return self._needed(node, wish)

    def _volume(self, node: str, wish: Wish) -> str | None:
        why = _only(wish, {"get"}, "can only get individual resources of this type")
        if why is not None:
            return why
        volume = self._cache.get(kinds.PV, "", wish.name)
        claim = _claim_of(volume) if volume is not None else None
        needed = claim is not None and self._needs.needed(node, (kinds.PVC.plural, *claim))
        return None if needed else _unrelated(node)

    def _account(self, node: str, wish: Wish) -> str | None:
        if wish.verb == "get" and not wish.subresource:
            return self._needed(node, wish)
        if wish.verb != "create" or not wish.name:
            return "can only create tokens for individual service accounts"
        if wish.subresource != "token":
            return "can only create token subresource of serviceaccount"
        return self._needed(node, wish)

    # --- what is its own ---

    def _lease(self, node: str, wish: Wish) -> str | None:
        why = _only(wish, _ON_OWN, "can only get, create, update, patch, or delete a node lease")
        if why is None and wish.namespace != LEASE_NAMESPACE:
            why = f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        if why is None and wish.verb != "create" and wish.name != node:
            why = "can only access node lease with the same name as the requesting node"
        return why

    def _csi_node(self, node: str, wish: Wish) -> str | None:
        why = _only(wish, _ON_OWN, "can only get, create, update, patch, or delete a CSINode")
        if why is None and wish.verb != "create" and wish.name != node:
            why = "can only access CSINode with the same name as the requesting node"
        return why

    def _node(self, node: str, wish: Wish) -> str | None:
        if wish.verb in ("update", "patch") and wish.subresource in ("", "status"):
            return None
        if wish.subresource:
            return ""
        if wish.verb == "create" or (wish.verb in _READ and wish.name == node):
            return None
        if wish.verb not in _READ:
            return ""
        what = f"'{wish.name}'" if wish.name else "all nodes"
        return f"node '{node}' cannot read {what}, only its own Node object"

    def _pod(self, node: str, wish: Wish) -> str | None:
        verb, below = wish.verb, wish.subresource
        if below:
            own = (below, verb)
            granted = own in (("status", "update"), ("status", "patch"), ("eviction", "create"))
            return None if granted else ""
        if verb in ("create", "delete"):
            return None
        if verb in ("list", "watch") and wish.fields.get("spec.nodeName") == node:
            return None
        if verb == "get" or (verb in _READ and wish.name):
            return self._placed(kinds.POD, node, wish)
        return "can only list/watch pods with spec.nodeName field selector" if verb in _READ else ""

    # --- what says which node it is about ---

    def _attachment(self, node: str, wish: Wish) -> str | None:
        why = _only(wish, {"get"}, "can only get individual resources of this type")
        return why if why is not None else self._placed(kinds.VOLUME_ATTACHMENT, node, wish)

    def _slice(self, node: str, wish: Wish) -> str | None:
        if wish.subresource:
            return "cannot authorize ResourceSlice subresources"
        if wish.verb == "create":
            return None
        if wish.verb in ("list", "watch", "deletecollection"):
            if wish.fields.get("spec.nodeName") == node:
                return None
            return (
                "can only list/watch/deletecollection resourceslices with nodeName field selector"
            )
        return self._placed(kinds.RESOURCE_SLICE, node, wish)

    def _certificate_request(self, node: str, wish: Wish) -> str | None:
        if wish.subresource:
            return "nodes may not access the status subresource of PodCertificateRequests"
        if wish.verb == "create":
            return None
        if wish.verb in ("list", "watch"):
            if wish.fields.get("spec.nodeName") == node:
                return None
            return "can only list/watch podcertificaterequests with nodeName field selector"
        if wish.verb == "get":
            return self._placed(kinds.POD_CERTIFICATE_REQUEST, node, wish)
        return f"nodes may not {wish.verb} podcertificaterequests"

    def _placed(self, kind: Kind, node: str, wish: Wish) -> str | None:
        """Whether an object is about the node, by its spec.nodeName."""
        doc = self._cache.get(kind, wish.namespace, wish.name)
        if doc is not None and (doc.get("spec") or {}).get("nodeName") == node:
            return None
        return _unrelated(node)


def _resource(kind: Kind) -> tuple[str, str]:
    return kind.group, kind.plural


def _only(wish: Wish, verbs: frozenset[str] | set[str], else_why: str) -> str | None:
    if wish.verb not in verbs:
        return else_why
    return "cannot read subresource" if wish.subresource else None


def _claim_of(volume: Doc) -> tuple[str, str] | None:
    """Namespace and name of the claim that a volume is bound to."""
    ref = volume["spec"].get("claimRef")
    return (ref.get("namespace", ""), ref.get("name", "")) if ref else None


def _unrelated(node: str) -> str:
    return f"no relationship found between node '{node}' and this object"
