"""etcd's history is forgotten by one server for all, every five minutes, as kube-apiserver does it
(--etcd-compaction-interval; apiserver/pkg/storage/etcd3/compact.go).

All of them try to move one key from where they saw it last, at about the same time; who does
compacts up to where etcd was the last time. So history goes back five minutes at least. The key is in
the feed of changes, so that feeds of a quiet cluster too are never further behind than that.
"""

from __future__ import annotations

import logging

from longshore.base.clock import Clock
from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.etcd.members import COMPACT, TXN, Members, Unanswered
from longshore.core.store.etcd.transactions import Layout, guarded
from longshore.core.store.protocol import StoreError

log = logging.getLogger("longshore.store")

COMPACTION_S = 300.0


async def compact(members: Members, layout: Layout, clock: Clock) -> None:
    """Take part in that until cancelled. What fails is tried again after as long."""
    at = before = 0
    while True:
        try:
            at, before = await _round(members, layout, at, before)
        except (StoreError, Unanswered) as error:
            log.info("etcd's history was not compacted up to %d: %s", before, error)
        await clock.sleep(COMPACTION_S)


async def _round(members: Members, layout: Layout, at: int, before: int) -> tuple[int, int]:
    """at is where the key was seen, before is etcd's revision of the round before; the new ones."""
    answer = await members.once(TXN, guarded(layout.swept, at, b""))
    now: int = answer.header.revision
    if not answer.succeeded:
        pairs = answer.responses[0].response_range.kvs
        return (pairs[0].mod_revision if pairs else 0), now
    if before:
        await members.once(COMPACT, rpc.CompactionRequest(revision=before))
    return now, now
