"""What runs beside a test, against its cluster, until the test ends."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from functools import partial
from types import TracebackType
from typing import Any, TypeAlias

from longshore.testing.kube.backend import Backend
from longshore.testing.kube.errors import Unmet

Controller: TypeAlias = Callable[..., Any]
# How long something is given to end when it is told to, in real seconds, before its connections are
# broken, and before it is left behind.
_GRACE_S, _END_S = 0.5, 5.0
# How long it may take to start.
_READY_S = 60.0


class Running:
    """Something that runs in a thread of its own. Leaving it as a context manager stops it."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Any],
        end: Callable[[], None],
        backend: Backend,
        ready: threading.Event | None = None,
    ) -> None:
        """work is run at once; end makes it return; ready is set by it when it is, if it tells."""
        self.name = name
        self._work = work
        self._end = end
        self._backend = backend
        self._ready = ready
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._stopped = False
        backend.expect(1)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def failed(self) -> bool:
        return self._error is not None

    def check(self) -> None:
        """Raise what it failed with."""
        __tracebackhide__ = True
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def wait_until_ready(self) -> None:
        __tracebackhide__ = True
        if self._ready is not None:
            told = self._ready.wait(_READY_S)
            self.check()
            if not told:
                raise Unmet(f"{self.name} did not start within {_READY_S:g}s")

    def stop(self) -> None:
        """End it, or leave it behind. What it had failed with before is raised by check()."""
        self.end()
        self.join(_END_S)

    def end(self) -> None:
        """Tell it to end."""
        if not self._stopped:
            self._stopped = True
            self._backend.expect(-1)
            self._end()

    def join(self, seconds: float) -> bool:
        """Whether it has ended within so many real seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()
        if error is None:
            self.check()

    def _run(self) -> None:
        __tracebackhide__ = True
        try:
            self._work()
        except (CancelledError, asyncio.CancelledError):
            return
        except BaseException as error:  # noqa: BLE001 - the thread's rim: the test is told
            if not self._stopped:
                self._error = error
                self._backend.nudge()
        finally:
            if self._ready is not None:
                self._ready.set()


def stop_all(running: Sequence[Running], backend: Backend) -> None:
    """End all of it. What is deaf because it waits for news of the cluster hears that there are none."""
    for one in running:
        one.end()
    if all([one.join(_GRACE_S) for one in running]):
        return
    backend.hang_up()
    for one in running:
        one.join(_END_S)


def run_in_thread(controller: Controller, kube: object, backend: Backend) -> Running:
    """Run a function of a test, see Kube.run()."""
    stop = threading.Event()
    offered = {"kube": kube, "stop": stop}
    wanted = inspect.signature(controller).parameters
    given = {name: value for name, value in offered.items() if name in wanted}
    name = getattr(controller, "__name__", "controller")
    if not inspect.iscoroutinefunction(controller):
        return Running(name, partial(controller, **given), stop.set, backend)
    task = _Task(partial(controller, **given))
    return Running(name, task.run, task.cancel, backend)


class _Task:
    """A coroutine on a loop of its own, which can be cancelled from another thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._cancelled = False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def run(self) -> None:
        __tracebackhide__ = True
        asyncio.run(self._main())

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._running is not None:
                loop, task = self._running
                if not loop.is_closed():
                    loop.call_soon_threadsafe(task.cancel)

    async def _main(self) -> None:
        __tracebackhide__ = True
        task = asyncio.current_task()
        assert task is not None
        with self._lock:
            if self._cancelled:
                return
            self._running = asyncio.get_running_loop(), task
        try:
            await self._work()
        finally:
            with self._lock:
                self._running = None
