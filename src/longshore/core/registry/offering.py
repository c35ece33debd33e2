"""How a scheduler that is not ours speaks of offers: what a door to another orchestrator needs.

It asks, watches kinds.OFFER for the node that it is given, and accepts or declines. All of it are
plain writes that any client can make (docs/scheduler.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.offers import ANNOTATION
from longshore.core.registry.client import Answers, Bind, Client, Create, Delete, DeleteOptions


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: quantities that there must be at least, labels of the node, and for how
    long it is to be held, in seconds (0: as long as offers stand that do not say)."""

    least: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    lease_s: int = 0


class Offers:
    """Of one scheduler, by the name that its pods bear in spec.schedulerName."""

    def __init__(self, client: Client, scheduler: str) -> None:
        self._client, self._scheduler = client, scheduler

    async def ask(self, wish: Wish | None = None) -> Doc:
        """Ask for an offer; the Offer, which has a node as soon as there is one for it."""
        wish = wish or Wish()
        spec: Doc = {
            "schedulerName": self._scheduler,
            "resources": dict(wish.least),
            "nodeSelector": dict(wish.labels),
        }
        if wish.lease_s:
            spec["leaseDurationSeconds"] = wish.lease_s
        metadata = {"generateName": f"{self._scheduler}-"}
        return await self._client.write(Create(kinds.OFFER, {"metadata": metadata, "spec": spec}))

    async def accept(self, offer: Doc, pods: Sequence[Doc]) -> Answers:
        """Bind pods to the offer's node, against what it holds; an answer for each, Conflict if it
        does not hold as much, has expired or is gone. What they leave of it stands on."""
        node, annotations = offer["spec"]["nodeName"], {ANNOTATION: offer["metadata"]["name"]}
        told = [pod["metadata"] for pod in pods]
        return await self._client.submit(
            [
                Bind(one["namespace"], one["name"], node, one["uid"], annotations=annotations)
                for one in told
            ]
        )

    async def decline(self, offer: Doc) -> None:
        """Give back what is left of it. Raises NotFound if it has ended."""
        metadata = offer["metadata"]
        options = DeleteOptions(uid=metadata["uid"])
        await self._client.write(Delete(kinds.OFFER, "", metadata["name"], options))
