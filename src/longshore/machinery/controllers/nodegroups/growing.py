"""Asks the provider for more machines, says so, and remembers whom it asked in vain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.nodegroups import plan as planning
from longshore.machinery.controllers.nodegroups.hands import Hands
from longshore.machinery.controllers.nodegroups.plan import Increase, Pool
from longshore.machinery.controllers.nodegroups.protocol import (
    NodeGroup,
    ProviderFailure,
)
from longshore.machinery.controllers.nodegroups.roll import Backoffs
from longshore.machinery.controllers.nodegroups.telling import Teller


class Grower:
    """last_at: when a group grew last, in monotonic seconds (None: not yet)."""

    def __init__(self, hands: Hands, teller: Teller) -> None:
        self._provider, self._clock = hands.tools.provider, hands.clock
        self._recorder, self._teller, self._metrics = hands.recorder, teller, hands.metrics
        self._backoffs = Backoffs(hands.rules)
        self._refused: Mapping[str, str] = {}
        self.last_at: float | None = None

    def pools(self, groups: Sequence[NodeGroup]) -> list[Pool]:
        """Which groups may grow."""
        found = []
        for group in groups:
            template = self._provider.template(group.name)
            failed = self.left_alone_s(group.name) > 0
            barred = planning.barred(group, template, in_backoff=failed)
            found.append(Pool(group, template, barred))
        return found

    def left_alone_s(self, group: str) -> float:
        """For how long a group does not grow because it failed to."""
        return self._backoffs.left_s(group, self._clock.monotonic())

    async def increase(self, increase: Increase) -> None:
        group, count = increase.group, increase.count
        sizes = f"{group.size + count} instead of {group.size} (max: {group.max_size})"
        self._teller.event(
            "Normal", "ScaledUpGroup", f"Scale-up: setting group {group.name} size to {sizes}"
        )
        try:
            await self._provider.increase(group.name, count)
        except ProviderFailure as error:
            self.failed(group.name, "cloudProviderError")
            failure = f"Scale-up failed for group {group.name}: {error}"
            self._teller.event("Warning", "FailedToScaleUpGroup", failure)
            return
        self._metrics.added(count)
        self.last_at = self._clock.monotonic()
        self._teller.event(
            "Normal", "ScaledUpGroup", f"Scale-up: group {group.name} size set to {sizes}"
        )
        for pod in increase.pods:
            message = f"pod triggered scale-up: [{increase}]"
            self._recorder.event(pod, "Normal", "TriggeredScaleUp", message)

    def failed(self, group: str, reason: str) -> None:
        """A group was asked in vain; reason is cloudProviderError or timeout."""
        self._backoffs.fail(group, self._clock.monotonic())
        self._metrics.failed(reason)

    def tell_refused(self, pods: Sequence[Doc], refused: Mapping[str, str]) -> None:
        """Why nothing is done for pods, by uid; said when it is news."""
        for pod in pods:
            uid = pod["metadata"]["uid"]
            why = refused.get(uid)
            if why is not None and self._refused.get(uid) != why:
                message = f"pod didn't trigger scale-up: {why}"
                self._recorder.event(pod, "Normal", "NotTriggerScaleUp", message)
        self._refused = refused
