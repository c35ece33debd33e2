"""What programs below the driver do wrong: it says so, leaves nothing, and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.machinery.runtime.oci import cgroups
from longshore.machinery.runtime.protocol import Pids, Resources, Security, StartFailed, State
from longshore.testing.runtime_suite import one, until_ended
from tests.runtime.test_oci import OciHarness, harness

__all__ = ["harness"]
pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.parametrize("harness", ["runc"], indirect=True),
]


def containers(harness: OciHarness) -> list[Path]:
    return list((harness.root / "runtime" / "run" / "containers").iterdir())


def working(harness: OciHarness) -> list[bytes]:
    """Commands of processes that have to do with this runtime."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return [each for each in found if str(harness.root).encode() in each]


async def all_ended(harness: OciHarness) -> None:
    """What is killed takes a moment to go."""
    async with asyncio.timeout(60):
        while working(harness):
            await SystemClock().sleep(0.005)


async def failing(harness: OciHarness, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """From now on runc is that."""
    programs = harness.root / "programs"
    programs.mkdir()
    (programs / "runc").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "runc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    await harness.reopen()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'no more room' >&2; exit 1", "no more room"),
        ("exit 0", "conmon ended without a word"),
        ("kill -9 $$", "conmon ended without a word"),
        ('echo \'time="x" level=error msg="it is \\"broken\\""\' >&2; exit 1', 'it is "broken"'),
    ],
)
async def test_a_runc_that_fails_is_quoted_and_leaves_nothing(
    harness: OciHarness, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    kept = await harness.runtime.start_container(sandbox.id, harness.running("kept"))
    await failing(harness, monkeypatch, script)
    with pytest.raises(StartFailed) as caught:
        await harness.runtime.start_container(sandbox.id, harness.running("main"))
    assert words in str(caught.value)
    assert containers(harness) == [Path(harness.root / "runtime/run/containers" / kept.id)]
    monkeypatch.undo()
    await harness.reopen()
    again = await harness.runtime.start_container(sandbox.id, harness.running("main"))
    assert (await one(harness.runtime, again.id)).state is State.RUNNING
    assert (await one(harness.runtime, kept.id)).state is State.RUNNING


async def test_a_holder_that_cannot_be_made_fails_the_start(
    harness: OciHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = replace(harness.sandbox("a"), pids=Pids.POD)
    await harness.runtime.run_sandbox(shared)
    await failing(harness, monkeypatch, "exit 1")
    with pytest.raises(StartFailed, match="the process that is to hold the pod's processes"):
        await harness.runtime.start_container(shared.id, harness.running("main"))
    monkeypatch.undo()
    await harness.reopen()
    started = await harness.runtime.start_container(shared.id, harness.running("main"))
    assert started.state is State.RUNNING


async def test_a_start_that_takes_for_ever_can_be_given_up(
    harness: OciHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await failing(harness, monkeypatch, "sleep 7793")
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    async with asyncio.TaskGroup() as group:
        start = group.create_task(
            harness.runtime.start_container(sandbox.id, harness.running("main"))
        )
        while not containers(harness):
            await SystemClock().sleep(0.005)
        await SystemClock().sleep(0.05)
        start.cancel()
    assert containers(harness) == []
    await all_ended(harness)


async def test_a_start_that_takes_too_long_fails_and_leaves_nothing(
    harness: OciHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await failing(harness, monkeypatch, "sleep 7794")
    harness.runtime.patience_s = 0.2
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    with pytest.raises(StartFailed, match=r"the container was not made within 0\.2 s"):
        await harness.runtime.start_container(sandbox.id, harness.running("main"))
    assert containers(harness) == []
    await all_ended(harness)


async def test_a_container_that_cannot_be_described_leaves_no_conmon(harness: OciHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    spec = replace(harness.running("a"), security=Security(user="nobody-knows"))
    with pytest.raises(StartFailed, match='no user "nobody-knows"'):
        await harness.runtime.start_container(sandbox.id, spec)
    assert (working(harness), containers(harness)) == ([], [])
    again = await harness.runtime.start_container(sandbox.id, harness.running("a"))
    await harness.ready(again)


async def test_conmon_and_container_killed_at_once_end_once(harness: OciHarness) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = [
        await harness.runtime.start_container(sandbox.id, harness.running(name)) for name in "ab"
    ]
    for each in started:
        os.kill(harness.pid(each, "conmon.pid"), signal.SIGKILL)
        os.kill(harness.pid(each), signal.SIGKILL)
    for each in started:
        assert (await until_ended(harness, each.id, 0.0)).reason == "Unknown"
    assert len(harness.said) == 2
    await harness.runtime.remove_sandbox(sandbox.id)
    assert containers(harness) == []
    assert cgroups.existing(harness.pod_group(sandbox.id)) == []


async def test_directories_that_are_half_made_are_thrown_away(harness: OciHarness) -> None:
    run = harness.root / "runtime" / "run"
    (run / "containers" / ("0" * 64) / "rootfs").mkdir(parents=True)
    (run / "containers" / ("1" * 64)).mkdir()
    (run / "containers" / ("1" * 64) / "state.json").write_text('{"id": "1')
    (run / "sandboxes" / "uid-x" / "shm").mkdir(parents=True)
    (run / "sandboxes" / "uid-y").mkdir()
    (run / "sandboxes" / "uid-y" / "sandbox.new").write_text("{")
    await harness.reopen()
    assert containers(harness) == []
    assert list((run / "sandboxes").iterdir()) == []
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    await harness.runtime.start_container(sandbox.id, harness.running("main"))


async def test_a_pod_that_cannot_be_bounded_runs_nothing_and_is_removed(
    harness: OciHarness,
) -> None:
    spec = replace(harness.sandbox("a"), resources=Resources(pids_limit=-5))
    sandbox = await harness.runtime.run_sandbox(spec)
    for name in "ab":
        with pytest.raises(
            StartFailed, match=r"the pod cannot be bounded: pids\.max cannot be set"
        ):
            await harness.runtime.start_container(sandbox.id, harness.running(name))
    assert containers(harness) == []
    await harness.runtime.remove_sandbox(sandbox.id)
    assert await harness.runtime.sandboxes() == []
