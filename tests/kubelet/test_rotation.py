"""Logs stay small: what the agent renames, packs and removes, and when it looks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longshore.machinery.kubelet.resource_settings import ResourceSettings
from longshore.machinery.kubelet.resources.rotation.plan import (
    LOOK_MIN_S,
    Size,
    grown,
    next_look_s,
    surplus,
    to_pack,
)
from longshore.machinery.runtime.protocol import Container, ContainerSpec, RuntimeFailure
from longshore.machinery.runtime.rotated import rotated_of

from .docs import pod
from .world import Recording, World, until, world_of

LOOK_EVERY_S = 10.0


class Printing(Recording):
    """Containers with a log file each, that goes on in a new one when it is told to."""

    refuses = False

    async def start_container(self, sandbox_id: str, spec: ContainerSpec) -> Container:
        Path(spec.log_path).touch()
        return await super().start_container(sandbox_id, spec)

    async def reopen_log(self, container_id: str) -> None:
        if self.refuses:
            raise RuntimeFailure("it does not want to")
        [found] = [one for one in await self.containers() if one.id == container_id]
        Path(found.log_path).touch()


class Node(World):
    """A World of containers that print."""

    runtime: Printing

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runtime = Printing(self.clock)
        self.resources = ResourceSettings(log_max_size="1Ki", log_max_files=3)

    @property
    def log(self) -> Path:
        return Path(self.runtime.started[0].log_path)

    def print(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text)

    def rotated(self) -> list[Path]:
        return rotated_of(self.log)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with world_of(Node, tmp_path) as made:
        made.start_agent()
        await made.run_pod(pod())
        await until(lambda: made.phase() == "Running")
        yield made


async def test_a_log_that_is_large_enough_is_rotated(node: Node) -> None:
    node.print("x" * 1000)
    await node.clock.advance(LOOK_EVERY_S)
    assert node.rotated() == []
    node.print("x" * 100)
    await node.clock.advance(LOOK_EVERY_S)
    assert node.log.stat().st_size == 0
    [renamed] = node.rotated()
    assert renamed.stat().st_size == 1100


async def test_only_so_many_files_are_kept_and_older_ones_are_packed(node: Node) -> None:
    for number in range(5):
        node.print(f"{number}" * 1100)
        await node.clock.advance(LOOK_EVERY_S)
        await until(lambda: all(p.suffix == ".gz" for p in node.rotated()[:-1]))
    assert [path.suffix == ".gz" for path in node.rotated()] == [True, False]
    assert node.rotated()[-1].read_text() == "4" * 1100


async def test_a_runtime_that_fails_keeps_its_log(node: Node) -> None:
    node.runtime.refuses = True
    node.print("x" * 1100)
    await node.clock.advance(LOOK_EVERY_S)
    assert node.log.stat().st_size == 1100
    assert node.rotated() == []


async def test_an_agent_that_died_half_way_is_made_good(node: Node) -> None:
    node.log.rename(node.log.with_name("0.log.20260101-000000.000000"))
    await node.clock.advance(LOOK_EVERY_S)
    assert node.log.exists()


async def test_nothing_is_left_of_a_pod_that_is_gone(node: Node) -> None:
    node.print("x" * 1100)
    await node.clock.advance(LOOK_EVERY_S)
    await node.delete(grace_s=0)
    await until(node.gone)
    await until(lambda: not any((node.root / "logs").iterdir()))


def test_a_flood_is_looked_at_in_time() -> None:
    first = Size(bytes=0, printed=0, at=0.0)
    flood = grown(first, 1_000_000, 0.1)
    assert next_look_s(first, flood, 10_000_000, LOOK_EVERY_S) == pytest.approx(0.9)
    assert next_look_s(None, flood, 10_000_000, LOOK_EVERY_S) == LOOK_EVERY_S
    assert next_look_s(flood, grown(flood, 9_999_999, 1.0), 10_000_000, LOOK_EVERY_S) == LOOK_MIN_S
    rotated = Size(bytes=0, printed=10_000_000, at=1.0)
    later = grown(rotated, 5_000_000, 2.0)
    assert (later.printed, next_look_s(rotated, later, 10_000_000, LOOK_EVERY_S)) == (
        15_000_000,
        1.0,
    )


def test_room_is_made_for_the_one_that_comes() -> None:
    rotated = ["a.gz", "b.gz", "c.gz", "d"]
    assert surplus(rotated, 5) == ["a.gz"]
    assert surplus(rotated[1:], 5) == []
    assert surplus(rotated, 1) == rotated
    assert to_pack(["a.gz", "b", "c"]) == ["b"]
