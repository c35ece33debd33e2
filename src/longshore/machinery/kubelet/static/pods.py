"""What tells a node's static pods from others, and how one ends. Pure."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

HASH, SOURCE, SEEN = (f"kubernetes.io/config.{one}" for one in ("hash", "source", "seen"))


class BadManifest(ValueError):
    """A file is not the manifest of a pod that a node can run by itself; the message says why."""


def ending(pod: Doc, now: str) -> Doc:
    """The same pod, of which the manifest is gone: it has its own grace period to end."""
    grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
    stamp = {"deletionTimestamp": now, "deletionGracePeriodSeconds": grace}
    return {**pod, "metadata": {**pod["metadata"], **stamp}}
