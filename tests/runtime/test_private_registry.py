"""Pulls from a real registry that asks who is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from longshore.machinery.runtime.images import ImageConfig, ImageStore, build_image
from longshore.machinery.runtime.protocol import ImagePullFailed, Login
from tests.ports import free_port

from .registries import USER, private_registry, push

pytestmark = [pytest.mark.root, pytest.mark.slow]


class Pushed(NamedTuple):
    host: str
    digest: str


@pytest.fixture
async def pushed(tmp_path: Path) -> AsyncIterator[Pushed]:
    archive = tmp_path / "app.tar"
    build_image(archive, ["app:1"], ImageConfig(["/x"]), files={"x": b"content"})
    async with private_registry(tmp_path, free_port()) as host:
        yield Pushed(host, await push(archive, f"{host}/team/app:1"))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store")


async def test_a_login_opens_the_registry_and_no_other_does(
    store: ImageStore, pushed: Pushed
) -> None:
    reference = f"{pushed.host}/team/app:1"
    for login in (None, Login("me", "wrong"), Login("stranger", USER.password)):
        with pytest.raises(ImagePullFailed, match=r"authentication required|unauthorized"):
            await store.pull(reference, login)
    assert store.list() == []
    image = await store.pull(reference, USER)
    assert image.entrypoint == ("/x",)
    by_digest = f"{pushed.host}/team/app@{pushed.digest}"
    assert (await store.pull(by_digest, USER)).id == image.id
    with pytest.raises(ImagePullFailed, match="manifest unknown"):
        await store.pull(f"{pushed.host}/team/app@sha256:{'0' * 64}", USER)


async def test_a_password_is_on_no_disk_and_in_no_command_line(
    store: ImageStore, pushed: Pushed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    between = tmp_path / "bin" / "skopeo"
    between.parent.mkdir()
    between.write_text(f'#!/bin/sh\necho "$@" >{told}\nexec {shutil.which("skopeo")} "$@"\n')
    between.chmod(0o755)
    monkeypatch.setenv("PATH", f"{between.parent}:{os.environ['PATH']}")
    await store.pull(f"{pushed.host}/team/app:1", USER)
    line = told.read_text()
    assert "--authfile /dev/fd/" in line
    assert USER.password not in line
    left = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert left
    assert not any(b"sesame" in path.read_bytes() for path in left)
