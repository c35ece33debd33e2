"""The proof of nodes in short."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.proof.nodes import prove

pytestmark = [pytest.mark.slow, pytest.mark.root]


async def test_containers_run_once_however_often_their_agent_is_killed() -> None:
    with TemporaryDirectory(prefix="lp-", dir="/tmp") as directory:  # a short path, for sockets
        verdict = await prove(Path(directory), 6, pods=24)
    print(verdict)
    assert verdict.wrong == []
    assert verdict.made > 24
