"""What a machine has, as `longshore doctor` sees it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from longshore.cluster.doctor import mountable


@pytest.mark.parametrize(
    ("filesystems", "modules", "there"),
    [
        ("nodev\tproc\nnodev\toverlay\n", "", True),
        ("nodev\tproc\n", "kernel/fs/overlayfs/overlay.ko.xz: kernel/fs/x.ko.xz\n", True),
        ("nodev\tproc\n", "kernel/fs/overlayfs/other.ko:\n", False),
    ],
)
def test_a_file_system_is_there_or_is_loaded_when_it_is_mounted(
    tmp_path: Path, filesystems: str, modules: str, there: bool
) -> None:
    table = tmp_path / "lib/modules" / os.uname().release / "modules.dep"
    table.parent.mkdir(parents=True)
    table.write_text(modules)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/filesystems").write_text(filesystems)
    assert mountable("overlay", tmp_path) is there


def test_a_machine_that_tells_nothing_has_none(tmp_path: Path) -> None:
    assert not mountable("overlay", tmp_path)
