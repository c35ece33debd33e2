"""Runs a command in a container and waits for it: probes and hooks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from itertools import count
from pathlib import Path

import orjson

from longshore.base.clock import Clock
from longshore.machinery.runtime.oci.programs import Maker
from longshore.machinery.runtime.oci.records import pid_in
from longshore.machinery.runtime.protocol import RuntimeFailure
from longshore.machinery.runtime.waiting import within
from longshore.machinery.runtime.words import last_complaint

# What is kept of the output; as much as the kubelet keeps of a probe's (pkg/probe/exec).
_OUTPUT_MAX_BYTES = 10 * 1024
_numbers = count()


async def exec_sync(
    maker: Maker, clock: Clock, bundle: Path, command: list[str], timeout_s: float
) -> tuple[int, bytes]:
    """(exit code, the beginning of both outputs together) of a command that runs as the container's
    own process does. bundle is the container's directory. Raises RuntimeFailure at the timeout,
    when the command has been killed."""
    stem = f"exec-{os.getpid()}-{next(_numbers)}"
    process_file, pid_file = bundle / f"{stem}.json", bundle / f"{stem}.pid"
    process_file.write_bytes(orjson.dumps(_process(bundle, command)))
    try:
        runc = await asyncio.create_subprocess_exec(
            *maker.command, maker.root, "exec", "--process", str(process_file),
            "--pid-file", str(pid_file), bundle.name,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            return await _outcome(runc, clock, timeout_s)
        finally:
            await _end(runc, pid_file)
    finally:
        process_file.unlink(missing_ok=True)
        pid_file.unlink(missing_ok=True)


def _process(bundle: Path, command: list[str]) -> dict[str, object]:
    process: dict[str, object] = orjson.loads((bundle / "config.json").read_bytes())["process"]
    return process | {"args": command, "terminal": False}


async def _outcome(
    runc: asyncio.subprocess.Process, clock: Clock, timeout_s: float
) -> tuple[int, bytes]:
    done = asyncio.Event()
    output = bytearray()

    async def collect() -> None:
        assert runc.stdout is not None
        while piece := await runc.stdout.read(65_536):
            output.extend(piece[: _OUTPUT_MAX_BYTES - len(output)])
        await runc.wait()
        done.set()

    async with asyncio.TaskGroup() as group:
        collecting = group.create_task(collect())
        in_time = await within(clock, timeout_s, done)
        collecting.cancel()
    if not in_time or runc.returncode is None:
        raise RuntimeFailure(f"the command did not end within {timeout_s:g} s and was killed")
    return runc.returncode, _plain(bytes(output))


def _plain(output: bytes) -> bytes:
    """runc's own complaint without its log frame; a command's output as it is."""
    if b'level=error msg="exec failed: ' not in output:
        return output
    return last_complaint(output.decode(errors="replace")).encode()


async def _end(runc: asyncio.subprocess.Process, pid_file: Path) -> None:
    """Nothing of it stays, however it was left."""
    if runc.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            if pid := pid_in(pid_file):
                os.kill(pid, signal.SIGKILL)
            runc.kill()
        await runc.wait()
