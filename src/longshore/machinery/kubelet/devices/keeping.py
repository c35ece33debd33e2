"""A file that has what would be forgotten otherwise, written whole each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from longshore.base.files import write_private


class Kept:
    """One file; whoever writes waits for who writes already, and writes what is newest then."""

    def __init__(self, path: Path, content: Callable[[], bytes]) -> None:
        self.path = path
        self._content = content
        self._turn = asyncio.Lock()

    def read(self) -> bytes:
        """Raises OSError."""
        return self.path.read_bytes()

    async def write(self) -> None:
        """It is on disk when this returns. Raises OSError."""
        async with self._turn:
            await asyncio.to_thread(write_private, self.path, self._content())
