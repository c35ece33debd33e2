"""Mounts that are made later, on one side of a volume, and seen on the other (mount_namespaces(7)). Pure.

The names are those of VolumeMount.mountPropagation; what a path allows is what the mount it lies on says
in /proc/self/mountinfo, as containerd judges it (ensureShared, ensureSharedOrSlave).
"""

from __future__ import annotations

import os

from longshore.machinery.runtime.protocol import Propagation

_BY_NAME = {
    "None": Propagation.PRIVATE,
    "HostToContainer": Propagation.FROM_HOST,
    "Bidirectional": Propagation.BOTH_WAYS,
}


def named(name: str | None) -> Propagation:
    """Of a volumeMount; unset is None."""
    return _BY_NAME[name or "None"]


def hindrance(path: str, wanted: Propagation, mountinfo: str) -> str:
    """Why a path cannot be given that way, "" if it can. mountinfo: the text of the kernel's file."""
    if wanted is Propagation.PRIVATE:
        return ""
    place, tags = _mount_of(path, mountinfo)
    if wanted is Propagation.BOTH_WAYS and "shared" not in tags:
        return f'path "{path}" is mounted on "{place}" but it is not a shared mount'
    if not tags & {"shared", "master"}:
        return f'path "{path}" is mounted on "{place}" but it is not a shared or slave mount'
    return ""


def _mount_of(path: str, mountinfo: str) -> tuple[str, set[str]]:
    """The mount that a path lies on, the newest where several are: where it is, and the kinds of groups
    of peers that it belongs to."""
    best, tags = "", set[str]()
    for line in mountinfo.splitlines():
        left = line.partition(" - ")[0].split(" ")
        place = left[4]
        if os.path.commonpath((path, place)) == place and len(place) >= len(best):
            best, tags = place, {tag.partition(":")[0] for tag in left[6:]}
    return best, tags
