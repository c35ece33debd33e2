"""The proof of backups in short, and that snapshots which are not of one revision are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from longshore.doors.kit.fetch import Pool
from tests.core.store.etcds import needs_etcd
from tests.proof.backups import prove
from tests.proof.transfers import SUM, Doc, Snapshot, Transfers


@pytest.mark.slow
@needs_etcd
async def test_backups_under_load_are_of_one_revision(tmp_path: Path) -> None:
    for verdict in await prove(tmp_path / "backups", 1, writers=8):
        print(verdict)
        assert verdict.wrong == []
        assert verdict.counts.acknowledged > 20


def config_map(uid: str, count: int = 0, owner: str = "") -> Doc:
    owners = [{"uid": owner, "name": owner}] if owner else []
    return {"metadata": {"uid": uid, "ownerReferences": owners}, "data": {"count": str(count)}}


DOCS = {
    "a0": config_map("a0", SUM - 3), "b0": config_map("b0", 2),
    "owner0-3": config_map("owner0-3"), "owned0-3": config_map("owned0-3", owner="owner0-3"),
}  # fmt: skip
REVISIONS = {"a0": 10, "b0": 7, "owner0-3": 8, "owned0-3": 9}


async def contradictions(
    docs: dict[str, Doc], revisions: dict[str, int], revision: int = 10
) -> list[str]:
    """The load has gone on to revision 12 since."""
    load = Transfers(Pool(["https://127.0.0.1:1"], None), writers=1)
    load.told = {"a0": [1, 6, 10], "b0": [2, 7, 11], "owner0-3": [8], "owned0-3": [9]}
    return [*load.contradictions(Snapshot(revision, docs, revisions), newest_before=9)]


async def test_a_snapshot_of_one_revision_is_passed() -> None:
    assert await contradictions(DOCS, REVISIONS) == []


@pytest.mark.parametrize(
    ("docs", "revisions", "why"),
    [
        ({**DOCS, "a0": config_map("a0", SUM - 1)}, REVISIONS, "together not"),
        ({**DOCS, "b0": config_map("b0", 4)}, REVISIONS, "together not"),
        (DOCS, {**REVISIONS, "a0": 6}, "a0 is there at 6, and was written at 10"),
        (DOCS, {**REVISIONS, "b0": 11}, "b0 is there at 11, and was written at 7"),
        (DOCS, {"a0": 10, "b0": 7, "owned0-3": 9}, "owner0-3 is there at 0"),
        ({name: doc for name, doc in DOCS.items() if name != "owner0-3"}, REVISIONS, "its owner"),
    ],
)
async def test_one_of_several_revisions_is_found(
    docs: dict[str, Doc], revisions: dict[str, int], why: str
) -> None:
    (sentence,) = await contradictions(docs, revisions)
    assert why in sentence


async def test_one_that_is_older_than_what_was_acknowledged_is_found() -> None:
    docs = {**DOCS, "a0": config_map("a0", SUM - 2)}
    found = await contradictions(docs, {**REVISIONS, "a0": 6, "owned0-3": 0}, revision=8)
    assert found == ["it is as of 8, though 9 was acknowledged before it"]
