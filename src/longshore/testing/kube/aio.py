"""The fixture's methods as coroutines, for tests whose own loop must go on meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import import_module
from typing import Any

from longshore.testing.kube.backend import Backend


class Aio:
    """await kube.aio.wait("deploy/web", "Available"): each method of kube, in a thread beside the
    test's loop, which may be asyncio's or trio's. What else runs on that loop may be what is waited
    for, and is given time as clients from outside are."""

    def __init__(self, kube: object, backend: Backend) -> None:
        self._kube = kube
        self._backend = backend

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._kube, name)
        if not callable(method) or name.startswith("_"):
            raise AttributeError(f"kube.aio has kube's methods alone: {name} is none")

        async def call(*args: Any, **options: Any) -> Any:
            self._backend.expect(1)
            try:
                return await _in_thread(partial(method, *args, **options))
            finally:
                self._backend.expect(-1)

        return call


async def _in_thread(work: Callable[[], Any]) -> Any:
    if "trio" in sys.modules and _in_trio():
        return await import_module("trio").to_thread.run_sync(work)
    return await asyncio.to_thread(work)


def _in_trio() -> bool:
    return bool(import_module("trio").lowlevel.in_trio_run())
