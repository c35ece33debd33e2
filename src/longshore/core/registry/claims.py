"""What a plan rests on besides its own object, where other servers write too.

On one server a plan knows of every other that is under way. Among several, each plans on what it
has heard, so the store compares, in the very transaction, that nobody else has touched what the plan
rests on; where somebody has, it is planned again. That keeps exact, whoever writes where:

- what a namespace uses of its quotas: a write that is charged claims them all,
- what a node has left for pods: a binding, or an offer, claims its share of the nodes,
- addresses and node ports of Services: each is a claim of its own, so that only those who choose
  the same one at the same moment meet,
- that nothing is made in a namespace that ends: who makes something looks at the namespace.

Names are exact by their keys. Ranges of nodes' pod addresses, and all else that controllers give out,
are theirs who hold the Lease (fencing.py).
"""

from __future__ import annotations

from zlib import crc32

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.commits import Intent
from longshore.core.registry.planning import RECHARGED
from longshore.core.registry.quotas import QuotaBooks
from longshore.core.registry.services import held
from longshore.core.store.protocol import Claim
from longshore.core.watch.stored import Stored

# Nodes are claimed in so many shares. A transaction of etcd has few operations, so that a claim for
# each node would halve the rate of bindings; and those of two servers meet only within a share.
NODE_SHARES = 16


class ClaimRules:
    """Tells what a planned write has to claim."""

    def __init__(self, quotas: QuotaBooks) -> None:
        self._quotas = quotas

    def of(self, kind: Kind, key: str, intent: Intent) -> tuple[Claim, ...]:
        """To be asked in the turn of the plan: what has been heard by now is what it rests on."""
        since = self._quotas.cache.revision
        names = self._moved(kind, key, intent)
        moved = tuple([Claim(name, since) for name in names])
        if intent.before is not None or not kind.namespaced:
            return moved
        home = kinds.NAMESPACE.key("", _namespace(key))
        return (Claim(home, since, moves=False), *moved)

    def _moved(self, kind: Kind, key: str, intent: Intent) -> list[str]:
        doc, before = intent.doc, intent.before
        if doc is None:
            return []
        names: list[str] = []
        if kind is kinds.OFFER or (kind is kinds.POD and before is not None):
            names += _bound_to(doc, before)
        if kind is kinds.SERVICE:
            names += sorted(held(doc) - (set() if before is None else held(before.doc)))
        charged = before is None or (
            kind in RECHARGED and doc.get("spec") != before.doc.get("spec")
        )
        if charged and kind.namespaced and self._quotas.limit(kind, _namespace(key)):
            names.append(f"quota/{_namespace(key)}")
        return names


def _bound_to(doc: Doc, before: Stored | None) -> list[str]:
    node = doc["spec"].get("nodeName")
    if not node or (before is not None and before.doc["spec"].get("nodeName")):
        return []
    return [f"capacity/{crc32(node.encode()) % NODE_SHARES}"]


def _namespace(key: str) -> str:
    return key.rsplit("/", 2)[1]
