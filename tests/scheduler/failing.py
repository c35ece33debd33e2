"""A client whose writes go wrong when a test wants it, and well otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from longshore.core.objects.errors import (
    ApiError,
    Conflict,
    InsufficientStorage,
    NotFound,
    TooManyRequests,
    Unavailable,
)
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Answers, Client, Operation

from ..passing import PassingClient

REFUSALS: dict[str, type[ApiError]] = {
    "404": NotFound, "409": Conflict, "429": TooManyRequests, "503": Unavailable,
    "507": InsufficientStorage,
}  # fmt: skip
BEFORE, AFTER = "cut off before it is written", "cut off after it is written"
TROUBLES = (*REFUSALS, BEFORE, AFTER)


@dataclass
class Trouble:
    """What happens to writes from the first-th on, counted from 0, for so many. A code refuses each;
    a cut raises for the whole submit that one is in, before or after it was carried out."""

    name: str
    first: int
    count: int = 1
    matters: Callable[[Operation], bool] = lambda operation: True

    def befalls(self, number: int) -> bool:
        return self.first <= number < self.first + self.count


class FailingClient(PassingClient):
    """Client. seen: the writes that were asked for; those that trouble minds are counted by it."""

    def __init__(self, client: Client, trouble: Trouble | None = None) -> None:
        super().__init__(client)
        self.trouble = trouble
        self.seen: list[Operation] = []

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        hit = [self._is_hit(operation) for operation in operations]
        name = self.trouble.name if self.trouble is not None and any(hit) else ""
        if name == BEFORE:
            raise ConnectionError(name)
        refusal = REFUSALS.get(name)
        through = [one for one, bad in zip(operations, hit, strict=True) if not (bad and refusal)]
        answers = iter(await self.client.submit(through) if through else ())
        if name == AFTER:
            raise ConnectionError(name)
        return [refusal(name) if bad and refusal else next(answers) for bad in hit]

    async def write(self, operation: Operation) -> Doc:
        (answer,) = await self.submit([operation])
        if isinstance(answer, ApiError):
            raise answer
        return answer

    def _is_hit(self, operation: Operation) -> bool:
        if self.trouble is None:
            self.seen.append(operation)
            return False
        if not self.trouble.matters(operation):
            return False
        self.seen.append(operation)
        return self.trouble.befalls(len(self.seen) - 1)
