"""The proof of etcd's members in short: one fault of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.store.etcds import needs_etcd
from tests.proof.members import prove

pytestmark = [pytest.mark.slow, pytest.mark.root, needs_etcd]


async def test_nothing_is_lost_when_members_fail(tmp_path: Path) -> None:
    verdict = await prove(tmp_path / "etcd", 4, writers=16, keys=40)
    print(verdict)
    assert verdict.wrong == []
    assert verdict.counts.acknowledged > 20
