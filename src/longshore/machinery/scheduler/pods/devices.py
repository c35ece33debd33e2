"""The claims of devices that a pod has. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.core.objects.device_claims import claims_of
from longshore.core.objects.kinds import Doc


@dataclass(frozen=True, slots=True)
class DeviceClaims:
    """keys: namespace/name of ResourceClaims, each once; made: those that must have been made for the
    pod. missing: some have yet to be made. pod, uid: whose they are."""

    keys: tuple[str, ...]
    made: frozenset[str]
    missing: bool
    pod: str
    uid: str


def read_devices(pod: Doc) -> DeviceClaims | None:
    """None if it claims none."""
    if not pod["spec"].get("resourceClaims"):
        return None
    metadata = pod["metadata"]
    found = list(claims_of(pod))
    keys = {
        f"{metadata['namespace']}/{one.claim}": bool(one.template) for one in found if one.claim
    }
    return DeviceClaims(
        keys=tuple(keys),
        made=frozenset(key for key, is_made in keys.items() if is_made),
        missing=any(one.claim == "" for one in found),
        pod=f"{metadata['namespace']}/{metadata['name']}",
        uid=metadata.get("uid", ""),
    )
