"""A containerd of one's own: where its files are, what it is told, its images, and how to be rid of it.

    home/config.toml         all of its configuration
    home/containerd.sock     where it serves the CRI
    home/root                images and records: kept as long as home
    home/state               what runs
    home/cni, home/networks  the plug-in by which sandboxes get their pods' networks (network.py)

Everything but the shims' sockets, which containerd keeps in /run/containerd for all that run on a machine, is
below home. Without gRPC, and what is not a coroutine blocks.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from longshore.base.clock import Clock
from longshore.base.files import write_private
from longshore.machinery.runtime.cri import network
from longshore.machinery.runtime.images.build import ImageConfig, build_image
from longshore.machinery.runtime.linux import unmount
from longshore.machinery.runtime.oci.destroy import end_processes, mounts_below, remove_tree
from longshore.machinery.runtime.protocol import RuntimeFailure
from longshore.machinery.runtime.words import last_complaint

# The namespace of containerd in which its CRI keeps everything.
NAMESPACE = "k8s.io"
# What sandboxes are made of: an image of our own, which no registry has.
PAUSE_IMAGE = "longshore.local/pause:1"
# The path of a socket has at most 107 bytes (unix(7)), and containerd appends ".ttrpc" to one of two.
_SOCKET_MAX = 100
_LOOK_AGAIN_S = 0.01
_PATH = ":/usr/sbin:/sbin"
_UNPACKED = re.compile(r"^unpacking (\S+) \(", re.MULTILINE)
_SNAPSHOTTERS = ("aufs", "btrfs", "devmapper", "zfs")
_CONFIGURATION = """version = 2
root = "{home}/root"
state = "{home}/state"
disabled_plugins = [{disabled}]

[debug]
  level = "warn"

[grpc]
  address = "{home}/containerd.sock"

[ttrpc]
  address = "{home}/containerd.sock.ttrpc"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{home}/state/runc"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{home}/cni/bin"
    conf_dir = "{home}/cni/net.d"
"""


class Containerd:
    """One containerd, below a directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.networks = home / "networks"
        self.socket = home / "containerd.sock"

    @property
    def endpoint(self) -> str:
        """As CriRuntime wants it."""
        return f"unix://{self.socket}"

    def configure(self) -> None:
        """Write all that it reads. Raises RuntimeFailure and OSError."""
        if len(os.fsencode(self.socket)) > _SOCKET_MAX:
            raise RuntimeFailure(f"{self.socket} is too long for the path of a socket")
        network.install(
            self.networks,
            configurations=self.home / "cni" / "net.d",
            programs=self.home / "cni" / "bin",
        )
        disabled = ", ".join(f'"io.containerd.snapshotter.v1.{one}"' for one in _SNAPSHOTTERS)
        text = _CONFIGURATION.format(home=self.home, pause=PAUSE_IMAGE, disabled=disabled)
        write_private(self.home / "config.toml", text.encode())

    def command(self) -> list[str]:
        """What runs it. It ends with the thread that started it, since two may not share a root; containers
        do not. Raises RuntimeFailure."""
        words = [program("setpriv"), "--pdeathsig", "KILL", program("containerd")]
        return [*words, "--config", str(self.home / "config.toml")]

    async def listening(self, clock: Clock, seconds: float) -> bool:
        """Whether somebody listens within that time."""
        deadline = clock.monotonic() + seconds
        while not _listens(self.socket):
            if clock.monotonic() > deadline:
                return False
            await clock.sleep(_LOOK_AGAIN_S)
        return True

    def make_pause_image(self) -> None:
        """Raises RuntimeFailure while it does not listen."""
        archive = self.home / "pause.tar"
        init = {"pause": Path(program("catatonit"))}
        build_image(archive, [PAUSE_IMAGE], ImageConfig(entrypoint=("/pause", "-P")), files=init)
        self.load(archive)

    def load(self, archive: Path) -> list[str]:
        """Every image of a docker-archive or OCI layout tar; their names. Raises RuntimeFailure."""
        command = [program("ctr"), "--address", str(self.socket), "--namespace", NAMESPACE]
        done = subprocess.run(
            [*command, "images", "import", str(archive)], capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeFailure(f"{archive.name} cannot be loaded: {_complaint(done.stderr)}")
        return _UNPACKED.findall(done.stdout)

    def leftovers(self) -> list[str]:
        """What clear would take away, a line each."""
        return [f"mount {path}" for path in mounts_below(self.home)]

    def clear(self, group: str) -> None:
        """End it and all that runs in it, below that control group, and unmount; images stay. Works after a
        SIGKILL at any moment. Raises RuntimeFailure naming what would not go."""
        if not self.home.exists():
            return
        end_processes(self.home, group)
        for address in self._shim_sockets():
            address.unlink(missing_ok=True)
        for path in mounts_below(self.home):
            unmount(path)
        if still := mounts_below(self.home):
            raise RuntimeFailure(f"{still[0]} will not be unmounted")
        remove_tree(self.home / "state")
        remove_tree(self.networks)

    def _shim_sockets(self) -> Iterator[Path]:
        for file in (self.home / "state").glob("io.containerd.runtime.v2.task/*/*/address"):
            with contextlib.suppress(OSError):
                yield Path(file.read_text().removeprefix("unix://"))


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(path))
        except OSError:
            return False
        return True


def program(name: str) -> str:
    """Where it is. Raises RuntimeFailure."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + _PATH)
    if found is None:
        raise RuntimeFailure(f"{name} is not installed")
    return found


def _complaint(said: str) -> str:
    return last_complaint(said).removeprefix("ctr: ")
