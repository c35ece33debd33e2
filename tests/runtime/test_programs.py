"""How makers of containers are asked: by a sealed copy, with what was found out before."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import orjson
import pytest

from longshore.machinery.runtime.oci import cgroups
from longshore.machinery.runtime.oci.filters import ANNOTATION, Filters
from longshore.machinery.runtime.oci.host import Users
from longshore.machinery.runtime.oci.sealed import sealed
from longshore.machinery.runtime.protocol import CanExec
from tests.runtime.test_oci import OciHarness, harness

__all__ = ["harness"]
_V2 = cgroups.hierarchies().get("unified", Path("/sys/fs/cgroup"))


def test_a_program_is_executed_from_a_copy_that_nobody_can_change(tmp_path: Path) -> None:
    program = shutil.copy("/bin/echo", tmp_path / "greet")
    link = sealed(str(program), tmp_path / "copies")
    Path(program).unlink()
    assert Path(link).name == "greet"
    assert subprocess.check_output([link, "hello"]) == b"hello\n"
    fd = os.open(link, os.O_RDWR)
    with pytest.raises(PermissionError), open(fd, "wb") as file:
        file.write(b"x")
    assert sealed(str(program), tmp_path / "copies") == link  # as after a restart of the agent


def test_a_program_without_a_copy_is_called_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert sealed("/bin/echo", tmp_path / "file") == "/bin/echo"
    assert sealed(str(tmp_path / "none"), tmp_path / "copies") == str(tmp_path / "none")


def _made(root: Path, name: str, filters: Filters, rules: object) -> dict[str, object]:
    """A container is described, made by one who compiles its rules, and remembered; its annotations."""
    bundle, state = root / name, root / f"{name}-state"
    bundle.mkdir()
    state.mkdir()
    config = filters.told({"annotations": {"own": name}, "linux": {"seccomp": rules}})
    (bundle / "config.json").write_bytes(orjson.dumps(config))
    (state / "seccomp.bpf").write_bytes(b"compiled")
    filters.learn(bundle, state)
    annotations: dict[str, object] = config["annotations"]
    return annotations


def test_the_same_rules_are_compiled_once(tmp_path: Path) -> None:
    filters = Filters()
    assert _made(tmp_path, "a", filters, {"syscalls": [1]}) == {"own": "a"}
    assert _made(tmp_path, "b", filters, {"syscalls": [2]}) == {"own": "b"}
    told = _made(tmp_path, "c", filters, {"syscalls": [1]})
    assert told == {"own": "c", ANNOTATION: "Y29tcGlsZWQ="}


def test_rules_that_were_not_asked_for_for_long_are_forgotten(tmp_path: Path) -> None:
    filters = Filters()
    for number in range(66):
        _made(tmp_path, f"n{number}", filters, number)
        assert ANNOTATION in _made(tmp_path, f"again{number}", filters, 0)
    assert ANNOTATION not in _made(tmp_path, "one", filters, 1)
    assert ANNOTATION in _made(tmp_path, "last", filters, 65)


def test_an_images_users_are_looked_up_once_for_each_name(tmp_path: Path) -> None:
    users, passwd = Users(), tmp_path / "etc" / "passwd"
    passwd.parent.mkdir()
    passwd.write_text("web:x:101:102::/srv:\n")
    assert users.find("image", tmp_path, "web").uid == 101
    passwd.write_text("web:x:201:202::/srv:\nother:x:301:302::/:\n")
    assert users.find("image", tmp_path, "web").uid == 101
    assert users.find("another", tmp_path, "web").uid == 201
    assert users.find("image", tmp_path, "other").uid == 301
    with pytest.raises(ValueError, match='no user "nobody"'):
        users.find("image", tmp_path, "nobody")


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("harness", ["crun"], indirect=True)
async def test_what_was_compiled_before_filters_as_well(harness: OciHarness) -> None:
    script = "unshare -U true 2>&1; grep ^Seccomp: /proc/self/status"
    for name in ("a", "b"):
        said = await harness.output(harness.shell(name, script))
        assert "Operation not permitted" in said[0]
        assert said[-1].split() == ["Seccomp:", "2"]
    configs = (harness.root / "runtime" / "run" / "containers").glob("*/config.json")
    told = [orjson.loads(path.read_bytes())["annotations"] for path in configs]
    assert sorted(ANNOTATION in one for one in told) == [False, True]


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("harness", ["crun"], indirect=True)
async def test_so_are_commands_in_such_a_container(harness: OciHarness) -> None:
    assert isinstance(harness.runtime, CanExec)
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    for name in ("one", "two"):
        made = await harness.runtime.start_container(sandbox.id, harness.running(name))
        await harness.ready(made)
        code, said = await harness.runtime.exec_sync(made.id, ["unshare", "-U", "true"], 10)
        assert (code, b"Operation not permitted" in said) == (1, True)
        await harness.runtime.stop_container(made.id, 0)
    await harness.runtime.remove_sandbox(sandbox.id)


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(Path("/sys/fs/cgroup") == _V2, reason="version 2 is not below version 1 here")
@pytest.mark.parametrize("harness", ["crun"], indirect=True)
async def test_nothing_is_left_below_what_crun_may_not_see(harness: OciHarness) -> None:
    await harness.finished(harness.shell("a", "true"))
    below = subprocess.check_output(
        ["unshare", "--mount", "sh", "-c", f"umount {_V2} && ls {_V2}"], text=True
    )
    assert harness.cgroup_parent.strip("/") not in below.split()
