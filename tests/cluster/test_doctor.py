"""What a machine has, as `longshore doctor` sees it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from longshore.cluster.doctor import control_groups, mountable


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


@pytest.mark.parametrize(
    ("files", "mended"),
    [
        ({}, ""),  # version 1, or both
        (
            {"controllers": "memory", "procs": "1\n", "subtree_control": ""},
            "",
        ),  # a machine's own root
        ({"type": "domain", "procs": "1\n", "subtree_control": "cpu"}, "xargs"),
        ({"type": "domain", "procs": "", "subtree_control": ""}, ""),
        ({"type": "domain", "procs": "1\n", "subtree_control": "cpu memory"}, ""),
    ],
)
def test_a_containers_root_group_is_to_have_no_processes(
    tmp_path: Path, files: dict[str, str], mended: str
) -> None:
    for name, text in files.items():
        (tmp_path / f"cgroup.{name}").write_text(text)
    found = control_groups(tmp_path)
    assert found.ok is not bool(mended)
    assert mended in found.mend


def test_groups_that_are_not_mounted(tmp_path: Path) -> None:
    assert control_groups(tmp_path / "none").mend.startswith("mount them on ")
