"""Mounts and what confines a container, against real containers of both makers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from longshore.machinery.runtime.images import ImageConfig, ImageStore, build_image
from longshore.machinery.runtime.linux import unmount
from longshore.machinery.runtime.protocol import (
    ImageMissing,
    Mount,
    Propagation,
    RuntimeFailure,
    Security,
    StartFailed,
)
from tests.runtime.test_oci import OciHarness, harness, status

__all__ = ["harness"]
pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.parametrize("harness", ["runc", "crun"], indirect=True),
]


# -- images as volumes -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(images: ImageStore, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an image of files alone."""
    archive = tmp_path_factory.mktemp("data") / "data.tar"
    files = {"models/small": b"weights\n", "bin/run.sh": b"#!/bin/sh\necho ran\n"}
    build_image(archive, ["data:1"], ImageConfig(links={"out": "/etc"}), files=files)
    images.load(archive)
    return "data:1"


async def test_an_image_is_mounted_for_reading_and_nothing_else(
    harness: OciHarness, data: str
) -> None:
    script = (
        "cat /whole/models/small /part/small; touch /whole/x || echo kept; cat /one;"
        "touch /part/x || echo kept; /whole/bin/run.sh || echo inert"
    )
    mounts = (
        Mount("", "/whole", read_only=True, image=data),
        Mount("models", "/part", read_only=True, image=data),
        Mount("models/small", "/one", read_only=True, image=data),
    )
    spec = replace(harness.shell("a", f"({script}) 2>/dev/null"), mounts=mounts)
    said = await harness.output(spec)
    assert said == ["weights", "weights", "kept", "weights", "kept", "inert"]


@pytest.mark.parametrize(
    ("mount", "kind", "words"),
    [
        (Mount("", "/x", image="nope:1"), ImageMissing, 'image "nope:1" is not on this node'),
        (Mount("nowhere", "/x", image="data:1"), StartFailed, "nowhere"),
        (Mount("out/passwd", "/x", image="data:1"), StartFailed, "out/passwd"),
    ],
)
async def test_what_an_image_does_not_have_is_not_mounted(
    harness: OciHarness, data: str, mount: Mount, kind: type[RuntimeFailure], words: str
) -> None:
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    with pytest.raises(kind, match=words):
        await harness.runtime.start_container(
            sandbox.id, replace(harness.running("a"), mounts=(mount,))
        )
    assert list((harness.root / "runtime" / "run" / "containers").iterdir()) == []


async def test_an_image_in_use_is_not_removed(harness: OciHarness, data: str) -> None:
    image = harness.images.get(data)
    assert image is not None
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    spec = replace(harness.running("a"), mounts=(Mount("", "/data", image=data),))
    started = await harness.runtime.start_container(sandbox.id, spec)
    await harness.runtime.stop_container(started.id, 0)
    for used in (image.id, started.image_id):
        with pytest.raises(RuntimeFailure, match="is used by a container"):
            await harness.runtime.remove_image(used)
    assert harness.images.get(data) == image


# -- mounts of the node ------------------------------------------------------------------------


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A directory from which mounts are passed on, with another mount below it."""
    path = tmp_path / "volume"
    (path / "inner").mkdir(parents=True)
    for words in (
        ["--bind", path, path],
        ["--make-shared", path],
        ["-t", "tmpfs", "none", path / "inner"],
    ):
        subprocess.run(["mount", *map(str, words)], check=True)
    yield path
    while str(path) in Path("/proc/self/mountinfo").read_text():
        for below in (path / "late", path / "own", path / "inner", path):
            unmount(below)


@pytest.mark.parametrize("propagation", [Propagation.FROM_HOST, Propagation.BOTH_WAYS])
async def test_what_is_mounted_later_is_seen_by_those_who_asked(
    harness: OciHarness, volume: Path, propagation: Propagation
) -> None:
    (volume / "late").mkdir()
    script = "until [ -e /there/late/note ]; do sleep 0.02; done; ls /private/late"
    mounts = (
        Mount(str(volume), "/private"),
        Mount(str(volume), "/there", propagation=propagation),
    )
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    spec = replace(harness.shell("a", f"echo ready; {script}; echo done; sleep 9"), mounts=mounts)
    started = await harness.runtime.start_container(sandbox.id, spec)
    await harness.ready(started)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(volume / "late")], check=True)
    (volume / "late" / "note").touch()
    await harness.heard(started, "done")
    said = [line.split(" ", 3)[3] for line in Path(spec.log_path).read_text().splitlines()]
    assert said == ["ready", "done"]


async def test_what_a_container_mounts_is_seen_by_the_node_if_it_may(
    harness: OciHarness, volume: Path
) -> None:
    (volume / "own").mkdir()
    script = "mount -t tmpfs none /both/own && echo mine >/both/own/note; echo ready; sleep 9"
    spec = replace(
        harness.shell("a", script),
        mounts=(Mount(str(volume), "/both", propagation=Propagation.BOTH_WAYS),),
        security=Security(privileged=True),
    )
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = await harness.runtime.start_container(sandbox.id, spec)
    await harness.ready(started)
    assert (volume / "own" / "note").read_text() == "mine\n"


async def test_read_only_may_hold_for_all_below(harness: OciHarness, volume: Path) -> None:
    script = "for d in top deep; do for f in $d $d/inner; do touch /$f/x && echo $f; done; done"
    mounts = (
        Mount(str(volume), "/top", read_only=True),
        Mount(str(volume), "/deep", read_only=True, recursive=True),
    )
    spec = replace(harness.shell("a", f"({script}) 2>/dev/null"), mounts=mounts)
    assert await harness.output(spec) == ["top/inner"]


# -- security ----------------------------------------------------------------------------------


async def test_a_profile_of_the_nodes_is_enforced(harness: OciHarness) -> None:
    profile = harness.root / "no-names.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    spec = harness.shell("a", "mkdir /x 2>&1; grep Seccomp: /proc/self/status")
    spec = replace(spec, security=Security(seccomp_profile=str(profile)))
    said = await harness.output(spec)
    assert "Cannot assign requested address" in said[0]
    assert said[1].split() == ["Seccomp:", "2"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("{", "seccomp profile"), ('{"syscalls": []}', "it has no defaultAction")],
)  # fmt: skip
async def test_a_profile_that_is_none_fails_the_start(
    harness: OciHarness, content: str | None, words: str
) -> None:
    profile = harness.root / "profile.json"
    if content is not None:
        profile.write_text(content)
    spec = replace(harness.running("a"), security=Security(seccomp_profile=str(profile)))
    sandbox = await harness.runtime.run_sandbox(harness.sandbox("a"))
    with pytest.raises(StartFailed, match=words):
        await harness.runtime.start_container(sandbox.id, spec)


async def test_groups_of_the_image_are_left_out_if_that_is_asked(harness: OciHarness) -> None:
    for strict, groups in ((False, "300 400"), (True, "400")):
        asked = Security(user="web", groups=(400,), strict_groups=strict)
        found = await status(harness, asked, "strict" if strict else "merged")
        assert found["Groups"].split() == groups.split()
    told = {each.name: each.user for each in await harness.runtime.containers()}
    assert told == {"merged": (101, 102, 300, 400), "strict": (101, 102, 400)}


async def test_all_of_proc_is_there_if_that_is_asked(harness: OciHarness) -> None:
    script = "cat /proc/timer_list | wc -c; grep -c ' /proc/' /proc/self/mountinfo"
    spec = replace(harness.shell("a", script), security=Security(unmasked_proc=True))
    size, mounts = await harness.output(spec)
    assert int(size) > 0
    assert mounts == "0"
