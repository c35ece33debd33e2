"""A busybox image, a network namespace with nothing in it, and runtimes that leave nothing behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.machinery.runtime.images import ImageConfig, ImageStore, build_image
from longshore.machinery.runtime.linux import unmount

BUSYBOX = Path("/usr/bin/busybox")
APPLETS = [
    "sh",
    "sleep",
    "cat",
    "echo",
    "true",
    "false",
    "ls",
    "id",
    "touch",
    "tail",
    "hostname",
    "env",
    "grep",
    "unshare",
    "mkdir",
    "wc",
    "pwd",
    "kill",
    "stty",
    "test",
    "tr",
    "head",
    "mount",
]
IMAGE = "busybox:1.35"
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:web:/srv:/bin/sh\n"
GROUP = b"root:x:0:root\nweb:x:102:\nextra:x:300:web\n"


def build_busybox(out: Path, name: str = IMAGE, **config: object) -> str:
    settings = {"command": ["/bin/sh"], "env": ["GREETING=hello"], **config}
    return build_image(
        out,
        [name],
        ImageConfig(links={f"bin/{applet}": "busybox" for applet in APPLETS}, **settings),  # type: ignore[arg-type]
        files={"bin/busybox": BUSYBOX, "etc/passwd": PASSWD, "etc/group": GROUP},
    )


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    root = tmp_path_factory.mktemp("images")
    build_busybox(root / "busybox.tar")
    store = ImageStore(root / "store")
    store.load(root / "busybox.tar")
    return store


@pytest.fixture(scope="session")
def netns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("netns") / "empty"
    path.touch()
    subprocess.run(["unshare", f"--net={path}", "true"], check=True)
    yield str(path)
    unmount(path)


@pytest.fixture
def cgroup_parent() -> str:
    return f"/longshore-test-{os.getpid()}"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """conmon leaves a file named oom where its parent runs: not in the checkout."""
    monkeypatch.chdir(tmp_path)
