"""What a candidate does about a Lease: take it, leave it, or look again. Pure.

The rules are client-go's (tools/leaderelection): no two machines' clocks are compared. What counts
is how long ago, by its own clock, a candidate saw the Lease change; the times in the Lease are for
people. A Lease that nobody holds, or that has not changed for as long as it says, may be taken.
"""

from __future__ import annotations

from dataclasses import dataclass

from longshore.base.clock import rfc3339_micro
from longshore.core.objects.kinds import LEASE, Doc

# Candidates look again after up to this many times the pause, so that they do not do so together.
JITTER = 1.2


@dataclass(frozen=True, slots=True)
class Rules:
    """Seconds. lease_s: how long others wait after the last change before they take the Lease.
    renew_deadline_s: how long its holder tries to renew before it steps down, which must be well
    below. retry_s: between two tries. Defaults are upstream's (component-base LeaderElection)."""

    lease_s: int = 15
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0

    def fault(self) -> str:
        """What is wrong with them; empty if nothing."""
        if self.retry_s <= 0 or self.lease_s < 1:
            return "the lease lasts a second at least, and the retry period is above 0"
        if self.renew_deadline_s <= self.retry_s * JITTER:
            return f"the renew deadline must be above {JITTER} times the retry period"
        if self.lease_s <= self.renew_deadline_s:
            return "the lease duration must be above the renew deadline"
        return ""


@dataclass(frozen=True, slots=True)
class Seen:
    """The Lease as it is known (None: there is none), and when, by the local clock, it was first
    seen so."""

    doc: Doc | None
    at: float

    @property
    def revision(self) -> str:
        return str(self.doc["metadata"]["resourceVersion"]) if self.doc else ""

    @property
    def holder(self) -> str:
        return _spec(self.doc).get("holderIdentity") or ""

    @property
    def transitions(self) -> int:
        return int(_spec(self.doc).get("leaseTransitions") or 0)


def _spec(doc: Doc | None) -> Doc:
    return (doc or {}).get("spec") or {}


def free_in(seen: Seen, me: str, now: float) -> float:
    """In how many seconds the Lease may be taken, if nothing changes: 0 at once."""
    if seen.holder in ("", me):
        return 0.0
    return max(seen.at + float(_spec(seen.doc).get("leaseDurationSeconds") or 0) - now, 0.0)


def taken(seen: Seen, namespace: str, name: str, me: str, rules: Rules, wall: float) -> Doc:
    """The Lease as a candidate takes it: a term of its own, even if it was its holder before."""
    spec = {
        "holderIdentity": me,
        "leaseDurationSeconds": rules.lease_s,
        "acquireTime": rfc3339_micro(wall),
        "renewTime": rfc3339_micro(wall),
        "leaseTransitions": seen.transitions + 1 if seen.doc else 0,
    }
    if seen.doc is None:
        return _lease({"namespace": namespace, "name": name}, spec)
    return _lease(seen.doc["metadata"], _spec(seen.doc) | spec)


def renewed(doc: Doc, wall: float) -> Doc:
    """The Lease as its holder renews it."""
    return _lease(doc["metadata"], doc["spec"] | {"renewTime": rfc3339_micro(wall)})


def released(doc: Doc, wall: float) -> Doc:
    """The Lease as its holder gives it back: nobody has to wait for it to end."""
    now = rfc3339_micro(wall)
    spec = doc["spec"] | {"leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now}
    del spec["holderIdentity"]
    return _lease(doc["metadata"], spec)


def _lease(metadata: Doc, spec: Doc) -> Doc:
    return {
        "apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata, "spec": spec,
    }  # fmt: skip
