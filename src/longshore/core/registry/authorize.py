"""Who may do what. Two kinds of caller are known so far: masters, and nodes.

A node may do what its agent needs (the list follows the Node authoriser's documentation,
kubernetes.io/docs/reference/access-authn-authz/node); everybody else is refused by name.
"""

from __future__ import annotations

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import Forbidden
from longshore.core.objects.kinds import Kind

NODE_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"

_READ = frozenset({"get", "list", "watch"})
_NODE_READS = frozenset(
    kind.prefix
    for kind in (
        kinds.POD, kinds.SERVICE, kinds.ENDPOINTS, kinds.ENDPOINT_SLICE, kinds.NODE, kinds.LEASE,
        kinds.NAMESPACE, kinds.SERVICE_ACCOUNT,
    )
)  # fmt: skip
# By name only: an agent knows what its pods refer to and has no use for the others.
_NODE_GETS = frozenset({kinds.CONFIG_MAP.prefix, kinds.SECRET.prefix})
_NODE_WRITES = frozenset({
    (kinds.POD.prefix, "status", "update"), (kinds.POD.prefix, "status", "patch"),
    (kinds.POD.prefix, "", "delete"),
    (kinds.EVENT.prefix, "", "create"), (kinds.EVENT.prefix, "", "patch"),
    (kinds.EVENT.prefix, "", "update"),
})  # fmt: skip
_NODE_OWN = frozenset({
    (kinds.NODE.prefix, "", "create"), (kinds.NODE.prefix, "", "update"),
    (kinds.NODE.prefix, "", "patch"), (kinds.NODE.prefix, "status", "update"),
    (kinds.NODE.prefix, "status", "patch"),
    (kinds.LEASE.prefix, "", "create"), (kinds.LEASE.prefix, "", "update"),
    (kinds.LEASE.prefix, "", "patch"),
})  # fmt: skip


def authorize(
    who: User, verb: str, kind: Kind, namespace: str, name: str, subresource: str = ""
) -> None:
    """Return if the caller may; raise Forbidden in Kubernetes' words if not."""
    if who.is_master or _node_may(who, verb, kind, name, subresource):
        return
    resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    raise Forbidden(
        f"{kind.resource}{f' {name!r}'.replace(chr(39), chr(34)) if name else ''} is forbidden: "
        f'User "{who.name}" cannot {verb} resource "{resource}" in API group "{kind.group}" {where}',
        kind=kind,
        name=name,
    )


def _node_may(who: User, verb: str, kind: Kind, name: str, subresource: str) -> bool:
    if NODE_GROUP not in who.groups or not who.name.startswith(NODE_PREFIX):
        return False
    if verb in _READ and not subresource:
        return kind.prefix in _NODE_READS or (verb == "get" and kind.prefix in _NODE_GETS)
    wish = (kind.prefix, subresource, verb)
    if wish in _NODE_OWN:
        return name == who.name.removeprefix(NODE_PREFIX)
    return wish in _NODE_WRITES
