"""The cri driver against a real containerd."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from longshore.testing.container_suite import ContainerSuite
from longshore.testing.program_suite import ProgramSuite
from tests.runtime.conftest import build_busybox
from tests.runtime.cri_world import CriHarness, Machine, machine

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    home = tmp_path_factory.mktemp("containerd")
    build_busybox(home / "busybox.tar")
    with machine(home, home / "busybox.tar") as made:
        yield made


@pytest.fixture
async def harness(tmp_path: Path, running: Machine, netns: str) -> AsyncIterator[CriHarness]:
    made = CriHarness(tmp_path, running.containerd, netns)
    await made.runtime.open()
    yield made
    await made.clean()
    await made.runtime.close()


class TestCri(ContainerSuite, ProgramSuite):
    pass
