"""Names that the server makes up: one that is taken is made up again, in batches too."""

from __future__ import annotations

import asyncio

from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.testing.clock import VirtualClock

from .conftest import ADMIN


class Unlucky(Chance):
    """Comes up with these endings of names, one after the other."""

    def __init__(self, *suffixes: str) -> None:
        super().__init__(1)
        self._suffixes = iter(suffixes)

    def suffix(self, length: int = 5) -> str:
        return next(self._suffixes)


async def made(chance: Chance, *batches: list[Doc]) -> list[object]:
    """What becomes of Namespaces that are made in batches: their names, or errors."""
    registry = Registry(MemoryStore(), VirtualClock(), chance)
    await registry.open()
    client, told = InProcess(registry, ADMIN), list[object]()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        for batch in batches:
            answers = await client.submit([Create(kinds.NAMESPACE, doc) for doc in batch])
            told += [a["metadata"]["name"] if isinstance(a, dict) else type(a) for a in answers]
        running.cancel()
    await registry.close()
    return told


def generated() -> Doc:
    return {"metadata": {"generateName": "x-"}}


async def test_a_name_that_is_there_is_made_up_again() -> None:
    told = await made(Unlucky("a", "a", "b"), [generated()], [generated()])
    assert told == ["x-a", "x-b"]


async def test_two_of_one_batch_get_names_of_their_own() -> None:
    assert await made(Unlucky("a", "a", "b"), [generated(), generated()]) == ["x-a", "x-b"]


async def test_in_the_end_it_is_given_up() -> None:
    told = await made(Unlucky(*"aaaaaaaaaa"), [generated()], [generated()])
    assert told == ["x-a", AlreadyExists]


async def test_a_name_that_was_asked_for_is_not_changed() -> None:
    named = {"metadata": {"name": "x"}}
    assert await made(Unlucky(), [named], [named]) == ["x", AlreadyExists]
