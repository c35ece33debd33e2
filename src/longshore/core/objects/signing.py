"""What becomes of a certificate signing request on its way in: who asks is not for the asker to
say, approval and status each change their own part (pkg/registry/certificates/certificates).
"""

from __future__ import annotations

from typing import Any

from longshore.base.users import User
from longshore.core.objects.kinds import Doc

DECISIONS = ("Approved", "Denied")
_ASKER = ("username", "uid", "groups", "extra")


def asked_by(doc: Doc, who: User | None) -> None:
    """Write into a new request who asks, whatever it says itself. Changes doc."""
    spec = doc.setdefault("spec", {})
    for field in _ASKER:
        spec.pop(field, None)
    if who is None:
        return
    said: dict[str, Any] = {
        "username": who.name,
        "uid": who.uid,
        "groups": list(who.groups),
        "extra": {key: list(values) for key, values in who.extra},
    }
    spec.update({field: value for field, value in said.items() if value})


def approved(new: Doc, old: Doc) -> Doc:
    """The status after an update of "approval": new conditions, and nothing else."""
    status = dict(old.get("status") or {})
    status["conditions"] = (new.get("status") or {}).get("conditions") or []
    return status


def with_decisions_kept(new: Doc, old: Doc) -> Doc:
    """The status after an update of "status": decisions stay as they are. How many there are of
    each may not change either, which is for the rules to refuse."""
    status = dict(new.get("status") or {})
    conditions = list(status.get("conditions") or ())
    before = (old.get("status") or {}).get("conditions") or ()
    for kind in DECISIONS:
        had = [one for one in before if one.get("type") == kind]
        places = [index for index, one in enumerate(conditions) if one.get("type") == kind]
        if len(had) == len(places):
            for index, one in zip(places, had, strict=True):
                conditions[index] = one
    if conditions:
        status["conditions"] = conditions
    return status


def with_times(status: Doc, old: Doc, now: str) -> Doc:
    """The status with the times that its conditions leave out; now is RFC 3339."""
    conditions = status.get("conditions")
    if not conditions:
        return status
    before = (old.get("status") or {}).get("conditions") or ()
    return {**status, "conditions": [_timed(one, before, now) for one in conditions]}


def _timed(one: Doc, before: Any, now: str) -> Doc:
    key = (one.get("type"), one.get("status"))
    same = [b for b in before if (b.get("type"), b.get("status")) == key]
    since = next((b["lastTransitionTime"] for b in same if b.get("lastTransitionTime")), now)
    return {
        **one,
        "lastUpdateTime": one.get("lastUpdateTime") or now,
        "lastTransitionTime": one.get("lastTransitionTime") or since,
    }
