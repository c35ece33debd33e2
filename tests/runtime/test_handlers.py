"""Programs that are brought along run the pods whose RuntimeClass asks for them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from longshore.machinery.runtime.images import ImageStore
from longshore.machinery.runtime.oci.destroy import destroy_all, leftovers
from longshore.machinery.runtime.protocol import CanExec, HasHandlers, RuntimeFailure

from .test_oci import OciHarness

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture
async def harness(
    tmp_path: Path, images: ImageStore, netns: str, cgroup_parent: str
) -> AsyncIterator[OciHarness]:
    made = OciHarness(tmp_path, images, netns, cgroup_parent)
    brought = tmp_path / "runtime" / "handlers"
    brought.mkdir(parents=True)
    program = shutil.which("runc")
    assert program is not None
    (brought / "sandboxed").symlink_to(program)
    (brought / "README").write_text("not a program")
    await made.runtime.open()
    yield made
    await made.runtime.close()
    destroy_all(tmp_path / "runtime", cgroup_parent)
    assert leftovers(tmp_path / "runtime", cgroup_parent) == []


async def test_a_pods_containers_are_made_by_its_handler_also_after_a_restart(
    harness: OciHarness,
) -> None:
    runtime = harness.runtime
    assert isinstance(runtime, HasHandlers)
    names = [one.name for one in runtime.handlers()]
    assert (names[0], names[-1]) == ("", "sandboxed")
    sandbox = await runtime.run_sandbox(replace(harness.sandbox("a"), handler="sandboxed"))
    first = await runtime.start_container(sandbox.id, harness.running("one"))
    runtime = await harness.reopen()
    second = await runtime.start_container(sandbox.id, harness.running("two"))
    state = harness.root / "runtime" / "run" / "handler-sandboxed"
    assert {path.name for path in state.iterdir()} == {first.id, second.id}
    assert isinstance(runtime, CanExec)
    for container in (first, second):
        await harness.ready(container)
        assert await runtime.exec_sync(container.id, ["echo", "hello"], 10) == (0, b"hello\n")
        await runtime.stop_container(container.id, 1)
    await runtime.remove_sandbox(sandbox.id)
    assert list(state.iterdir()) == []


async def test_a_handler_that_is_not_there_is_refused(harness: OciHarness) -> None:
    spec = replace(harness.sandbox("a"), handler="kata")
    with pytest.raises(RuntimeFailure, match='no runtime for "kata" is configured'):
        await harness.runtime.run_sandbox(spec)
    assert await harness.runtime.sandboxes() == []
