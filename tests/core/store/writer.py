"""A process that writes until it is killed, and says on standard output what was acknowledged.

Each line is KEY REVISION VALUE of an acknowledged write; "-" stands for a delete.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from longshore.base.clock import SystemClock
from longshore.core.store.etcd.members import Members
from longshore.core.store.etcd.store import EtcdStore, Naming
from longshore.core.store.protocol import Store, Write
from longshore.core.store.sqlite import SqliteStore

KEYS = 40
BATCH = 8


def store_at(where: str) -> Store:
    """The store in a file, or in the etcd at HOST:PORT."""
    if "/" in where:
        return SqliteStore(Path(where))
    return EtcdStore(Members([where], SystemClock()), SystemClock(), Naming("/crash"))


async def main(where: str) -> None:
    store = store_at(where)
    at: dict[str, int] = {}

    def take(key: str, _: bytes, revision: int) -> None:
        at[key] = revision

    count = await store.open(take)
    print(f"open {count}", flush=True)
    while True:
        writes = []
        for _ in range(BATCH):
            count += 1
            key = f"/k/{count % KEYS}"
            value = None if count % 11 == 0 and key in at else b"value-%d" % count
            writes.append(Write(key, value, at.get(key, 0)))
        revisions = await store.commit(writes)
        for write, revision in zip(writes, revisions, strict=True):
            assert revision, write
            if write.value is None:
                del at[write.key]
            else:
                at[write.key] = revision
            shown = "-" if write.value is None else write.value.decode()
            print(f"{write.key} {revision} {shown}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
