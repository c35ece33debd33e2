"""What a container's status says of how it came to run: its user, its stop signal, its mounts. Pure."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.machinery.runtime.protocol import Container

_DIGEST_CHARS = 64


def image_id(container: Container) -> str:
    """sha256:ID, as containerd has an image that no registry gave a digest of: scanners go by it."""
    known = container.image_id
    return f"sha256:{known}" if len(known) == _DIGEST_CHARS else known


def details(container: Doc, newest: Container) -> Doc:
    """Fields of a ContainerStatus, as far as the runtime tells."""
    found: Doc = {}
    if newest.stop_signal:
        found["stopSignal"] = newest.stop_signal
    if newest.user:
        uid, gid, *groups = newest.user
        found["user"] = {"linux": {"uid": uid, "gid": gid, "supplementalGroups": groups}}
    mounts = container.get("volumeMounts") or ()
    # Of no others is it news, and every status of every pod would grow by what its spec says.
    if any("recursiveReadOnly" in mount for mount in mounts):
        found["volumeMounts"] = [_mount(mount) for mount in mounts]
    return found


def _mount(mount: Doc) -> Doc:
    """A VolumeMountStatus (KEP-3857). Nodes that cannot make mounts read-only with all below them
    refuse to be asked for it."""
    status = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if not mount.get("readOnly"):
        return status
    enabled = mount.get("recursiveReadOnly") in ("Enabled", "IfPossible")
    return status | {
        "readOnly": True,
        "recursiveReadOnly": "Enabled" if enabled else "Disabled",
    }
