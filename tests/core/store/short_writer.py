"""A process that commits three batches and says on standard output how each went."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from longshore.core.store.protocol import StoreError, Write
from longshore.core.store.sqlite import SqliteStore


async def main(path: Path) -> None:
    store = SqliteStore(path)
    at: dict[str, int] = {}
    await store.open(lambda key, _, revision: at.update({key: revision}))
    print("open", flush=True)
    for number in (1, 2, 3):
        key = f"/k/{number}"
        try:
            await store.commit([Write(key, b"v" * 9000, at.get(key, 0))])
            print(f"done {number}", flush=True)
        except StoreError as error:
            print(f"{type(error).__name__}: {error}", flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
