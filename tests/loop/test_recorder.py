"""Events: repeats counted, floods folded, batches written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Operation, Patch
from longshore.machinery.loop import recorder as room
from longshore.machinery.loop.recorder import Journal
from longshore.testing.clock import VirtualClock, settle

POD: Doc = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "7"},
}


class Paper:
    """A client that only takes batches in."""

    def __init__(self) -> None:
        self.batches: list[list[Operation]] = []
        self.refusing = False

    async def submit(self, operations: Sequence[Operation]) -> list[Doc | ApiError]:
        self.batches.append(list(operations))
        if self.refusing:
            return [NotFound.of(kinds.EVENT, "gone") for _ in operations]
        return [op.doc if isinstance(op, Create) else {} for op in operations]

    @property
    def written(self) -> list[Operation]:
        return [operation for batch in self.batches for operation in batch]


def journal(paper: Paper, clock: VirtualClock) -> Journal:
    return Journal(paper, clock)  # type: ignore[arg-type]  # submit is all that a journal uses


async def test_an_event_names_its_object_and_its_teller() -> None:
    paper = Paper()
    told = journal(paper, VirtualClock())
    told.recorder("kubelet", "n1").event(POD, "Warning", "BackOff", "it crashes")
    await told.flush()
    (create,) = paper.written
    assert isinstance(create, Create)
    event = create.doc
    assert event["involvedObject"] == {
        "apiVersion": "v1", "kind": "Pod", "name": "web",
        "namespace": "shop", "uid": "u1", "resourceVersion": "7",
    }  # fmt: skip
    assert event["source"] == {"component": "kubelet", "host": "n1"}
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"
    assert (event["reason"], event["message"], event["count"]) == ("BackOff", "it crashes", 1)


async def test_a_repeat_is_a_count() -> None:
    paper, clock = Paper(), VirtualClock()
    told = journal(paper, clock)
    voice = told.recorder("kubelet")
    voice.event(POD, "Warning", "BackOff", "it crashes")
    await told.flush()
    await clock.advance(60)
    voice.event(POD, "Warning", "BackOff", "it crashes")
    voice.event(POD, "Warning", "BackOff", "it crashes")
    await told.flush()
    create, patch = paper.written
    assert isinstance(create, Create)
    assert isinstance(patch, Patch)
    assert patch.name == create.doc["metadata"]["name"]
    assert patch.patch["count"] == 3
    assert patch.patch["lastTimestamp"] == "2026-01-01T00:01:00Z"


async def test_after_the_window_a_repeat_is_news() -> None:
    paper, clock = Paper(), VirtualClock()
    told = journal(paper, clock)
    for _ in range(2):
        told.recorder("kubelet").event(POD, "Normal", "Pulled", "done")
        await told.flush()
        await clock.advance(room.REPEAT_WINDOW_S)
    first, second = paper.written
    assert isinstance(first, Create)
    assert isinstance(second, Create)
    assert first.doc["metadata"]["name"] != second.doc["metadata"]["name"]


async def test_many_different_messages_are_folded_into_one() -> None:
    paper = Paper()
    told = journal(paper, VirtualClock())
    for number in range(50):
        told.recorder("kubelet").event(POD, "Warning", "Failed", f"try {number}")
    await told.flush()
    assert len(paper.written) == room.SIMILAR_MAX + 1
    last = paper.written[-1]
    assert isinstance(last, Create)
    assert last.doc["message"] == room.FOLDED + "try 49"
    assert last.doc["count"] == 40


async def test_what_was_folded_is_told_in_full_again_after_a_quiet_while() -> None:
    """Ten rollouts in a year are no flood."""
    paper, clock = Paper(), VirtualClock()
    told = journal(paper, clock)
    for number in range(room.SIMILAR_MAX + 5):
        told.recorder("deployment-controller").event(POD, "Normal", "Scaled", f"to {number}")
        await told.flush()
        await clock.advance(room.REPEAT_WINDOW_S)
    said = [op.doc["message"] for op in paper.written if isinstance(op, Create)]
    assert said == [f"to {number}" for number in range(room.SIMILAR_MAX + 5)]


async def test_parts_of_an_object_are_told_of_apart() -> None:
    paper = Paper()
    told = journal(paper, VirtualClock())
    for name in ("main", "side", "main"):
        field = f"spec.containers{{{name}}}"
        told.recorder("kubelet").event(POD, "Normal", "Pulled", "it is there", field)
    await told.flush()
    first, second = (op.doc for op in paper.written if isinstance(op, Create))
    assert (first["involvedObject"]["fieldPath"], first["count"]) == ("spec.containers{main}", 2)
    assert (second["involvedObject"]["fieldPath"], second["count"]) == ("spec.containers{side}", 1)


async def test_a_refused_event_begins_anew() -> None:
    paper = Paper()
    paper.refusing = True
    told = journal(paper, VirtualClock())
    for _ in range(2):
        told.recorder("kubelet").event(POD, "Normal", "Pulled", "done")
        await told.flush()
    assert all(isinstance(operation, Create) for operation in paper.written)


async def test_a_flood_is_dropped_and_counted() -> None:
    paper = Paper()
    told = journal(paper, VirtualClock())
    for number in range(room.WAITING_MAX + 5):
        about = {**POD, "metadata": {**POD["metadata"], "uid": f"u{number}"}}
        told.recorder("kubelet").event(about, "Normal", "Pulled", "done")
    assert told.dropped == 5
    await told.flush()
    assert len(paper.written) == room.WAITING_MAX
    assert max(len(batch) for batch in paper.batches) == room.BATCH_MAX


async def test_what_comes_together_is_written_together() -> None:
    paper, clock = Paper(), VirtualClock()
    told = journal(paper, clock)
    async with asyncio.TaskGroup() as crew:
        writing = crew.create_task(told.run())
        await settle()
        told.recorder("a").event(POD, "Normal", "One", "1")
        await settle()
        told.recorder("b").event(POD, "Normal", "Two", "2")
        await clock.advance(room.GATHER_S)
        writing.cancel()
    assert [len(batch) for batch in paper.batches] == [2]
