"""The stores again on disks whose fsync takes 1 and 4 ms longer, as ordinary ones do."""

from __future__ import annotations

import shutil

from bench import stores
from bench.table import Figure

SLOWER_MS = (1, 4)


async def figures() -> list[Figure]:
    if shutil.which("strace") is None:
        print("  slower disks need strace: left out")
        return []
    return [figure for ms in SLOWER_MS for figure in await stores.measured(ms, rounds=1)]
