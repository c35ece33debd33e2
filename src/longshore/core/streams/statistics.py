"""What nodes use, as a protocol that cluster/ plugs in."""

from __future__ import annotations

from typing import Any, Protocol


class Statistics(Protocol):
    """Asks the nodes of a cluster what they and their pods use."""

    async def stats(self, node: str) -> dict[str, Any]:
        """In the form of the kubelet's /stats/summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1),
        with cpu.windowSeconds besides. Raises ApiError: NotFound, Unavailable."""
