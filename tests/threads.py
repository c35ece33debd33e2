"""Threads under a virtual clock, which knows nothing of them: it would let time pass by work that they still do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class AtOnce(ThreadPoolExecutor):
    """Does what it is given in the moment that it is given it. What that raises, the asker is told, as always."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*given, **named))
        return done


def no_threads() -> None:
    """From now on asyncio.to_thread() of this loop takes no time."""
    asyncio.get_running_loop().set_default_executor(AtOnce())
