"""Whose processes are ended when a node is taken away."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.machinery.runtime.oci.destroy import end_processes


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What looks like a conmon of node-10."""
    program = tmp_path / "conmon"
    program.symlink_to("/bin/sh")
    words = [str(program), "-c", "read line", str(tmp_path / "node-10" / "runtime")]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_node_is_not_another_whose_name_goes_on(
    tmp_path: Path, monitor: subprocess.Popen[bytes]
) -> None:
    end_processes(tmp_path / "node-1")
    assert monitor.poll() is None
    end_processes(tmp_path / "node-10")
    assert monitor.wait(60) != 0
