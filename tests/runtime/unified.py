"""What containers find where version 2 of control groups is alone: the common part of both drivers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from longshore.machinery.runtime.oci.cgroups import is_unified
from longshore.machinery.runtime.pressure import MACHINE, RESOURCES, CanTellPressure
from longshore.machinery.runtime.protocol import Resources
from longshore.testing.program_suite import ProgramHarness, begun, finished, talking

MIB = 1 << 20
TELLS = Path("/proc/pressure")
SHOW = "cd /sys/fs/cgroup; cat /proc/self/cgroup memory.max memory.oom.group memory.swap.max"


@pytest.mark.skipif(not is_unified(), reason="this machine has version 1 too: see tools/vm.py")
class UnifiedSuite:
    """Driven as ProgramSuite is."""

    async def test_a_container_sees_its_own_group_alone(self, harness: ProgramHarness) -> None:
        limits = Resources(memory_limit_bytes=64 * MIB)
        _, container = await begun(harness, replace(harness.running("a"), resources=limits))
        show = ["/bin/sh", "-c", SHOW]
        code, words = await talking(harness.runtime).exec_sync(container.id, show, 10.0)
        assert (code, words.decode().split()) == (0, ["0::/", str(64 * MIB), "1", "0"])

    async def test_all_of_it_ends_when_memory_runs_out(self, harness: ProgramHarness) -> None:
        limits = Resources(memory_limit_bytes=16 * MIB)
        script = "/bin/tail /dev/zero; exit 0"
        ended = await finished(harness, replace(harness.shell("a", script), resources=limits))
        assert (ended.exit_code, ended.reason) == (137, "OOMKilled")

    @pytest.mark.skipif(not TELLS.exists(), reason="this kernel counts no pressure (psi=1)")
    async def test_pressure_is_told(self, harness: ProgramHarness) -> None:
        assert isinstance(harness.runtime, CanTellPressure)
        sandbox, container = await begun(harness, harness.running("a"))
        found = await harness.runtime.pressure()
        for who in (MACHINE, sandbox.id, container.id):
            assert set(found[who]) == set(RESOURCES)
