"""Among several servers, loops act only where their Lease is held."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.record import Record, Violation

_PODS, _LEASES = "/core/pods/", "/coordination.k8s.io/leases/kube-system/"
_CONTROLLERS, _SCHEDULER = "kube-controller-manager", "kube-scheduler"


def led(record: Record) -> Iterator[Violation]:
    """What only controllers do (make an object that has one) and what only the scheduler does (give a
    pod its node) was written by the server that held the Lease for it, as the log has it."""
    holders: dict[str, str] = {}
    there: dict[str, Doc] = {}
    for entry, doc in record.decoded():
        before = there.pop(entry.key, None)
        if doc is None:
            continue
        there[entry.key] = doc
        if entry.key.startswith(_LEASES):
            identity = doc["spec"].get("holderIdentity") or ""
            holders[entry.key.removeprefix(_LEASES)] = identity.partition("_")[0]
        lease = _asked(entry.key, before, doc)
        if entry.writer and lease and holders.get(lease) != entry.writer:
            holder = holders.get(lease) or "nobody"
            sentence = f"{entry.writer} wrote {entry.key} at {entry.revision} while {holder} held"
            yield Violation("leaders", f"{sentence} {lease}", (entry.key, _LEASES + lease))


def _asked(key: str, before: Doc | None, doc: Doc) -> str:
    """The Lease that a write needs; "" if it needs none."""
    if before is None:
        refs = doc["metadata"].get("ownerReferences") or ()
        return _CONTROLLERS if any(ref.get("controller") for ref in refs) else ""
    if not key.startswith(_PODS) or before["spec"].get("nodeName"):
        return ""
    # Pods of other schedulers are bound through any server.
    ours = doc["spec"].get("schedulerName", "default-scheduler") == "default-scheduler"
    return _SCHEDULER if ours and doc["spec"].get("nodeName") else ""
