"""Have conmon go on in another log file: what is left to do after who rotates has renamed it."""

from __future__ import annotations

import os
from pathlib import Path

from longshore.base.clock import Clock
from longshore.machinery.runtime.protocol import Container, RuntimeFailure

# conmon's message number for it, and two numbers that it does not look at (conmon, src/ctrl.c).
_REOPEN_LOGS = b"2 0 0\n"
_LOOK_AGAIN_S = 0.002
_PATIENCE_S = 5.0


async def reopen_log(bundle: Path, container: Container, clock: Clock) -> None:
    """Returns once there is a new file at the container's log_path. bundle is the container's directory.
    Raises RuntimeFailure."""
    log = Path(container.log_path)
    try:
        fd = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RuntimeFailure(f"container {container.id[:12]}: {error.strerror}") from error
    try:
        os.write(fd, _REOPEN_LOGS)
    finally:
        os.close(fd)
    until = clock.monotonic() + _PATIENCE_S
    while not log.exists():
        if clock.monotonic() > until:
            raise RuntimeFailure(f"container {container.id[:12]}: conmon made no new log file")
        await clock.sleep(_LOOK_AGAIN_S)
