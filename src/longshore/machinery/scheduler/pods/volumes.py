"""The claims that a pod's volumes are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.core.objects.kinds import Doc
from longshore.core.objects.volumes import claim_name


@dataclass(frozen=True, slots=True)
class Claimed:
    """key: namespace/name. maker: for an ephemeral volume "namespace/name" and the uid of the pod
    that its claim must have been made for; two empty words otherwise."""

    key: str
    maker: tuple[str, str] = ("", "")


def read_claims(pod: Doc) -> tuple[Claimed, ...]:
    """In the order of the pod's volumes, each once."""
    volumes = pod["spec"].get("volumes")
    if not volumes:
        return ()
    metadata = pod["metadata"]
    found: dict[str, Claimed] = {}
    for volume in volumes:
        if name := claim_name(pod, volume):
            own = f"{metadata['namespace']}/{metadata['name']}", metadata.get("uid", "")
            key = f"{metadata['namespace']}/{name}"
            found.setdefault(key, Claimed(key, own if "ephemeral" in volume else ("", "")))
    return tuple(found.values())
