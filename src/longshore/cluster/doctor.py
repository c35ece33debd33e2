"""What a machine needs for real containers: look, say, and mend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from longshore.cluster.config import ClusterError

# Command, Debian package, what it is for.
COMMANDS = (
    ("conmon", "conmon", "keeps containers' logs and exit codes"),
    ("runc", "runc", "starts containers"),
    ("nft", "nftables", "routes Services"),
)
# What is needed besides with --runtime cri.
CRI_COMMANDS = (
    ("containerd", "containerd", "--runtime cri"),
    ("catatonit", "catatonit", "--runtime cri: holds pods' namespaces"),
)
# Which of all commands do not matter to a runtime. A machine's own containerd or CRI-O brings what it needs.
MACHINES_CRI = "cri of the machine"
_UNUSED: dict[str, tuple[str, ...]] = {
    "oci": (),
    "cri": ("conmon",),
    MACHINES_CRI: ("conmon", "runc"),
}
OPTIONAL_COMMANDS = (
    ("crun", "crun", "starts containers with less than half of runc's processor time"),
    ("skopeo", "skopeo", "pulls images from registries"),
    ("pasta", "passt", "--uplink user"),
)
INOTIFY_INSTANCES_MIN = 128
# Not installed with the others: Debian's package starts an etcd of the machine's own.
UNASKED = ("etcd", "etcd-server", "--servers 3")
_SBIN = ":/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. mend says what to do when it is not ok."""

    what: str
    ok: bool
    mend: str = ""
    optional: bool = False

    @property
    def name(self) -> str:
        """A command's; of others, what was looked at."""
        return self.what.partition(" (")[0]

    def line(self) -> str:
        mark = "ok     " if self.ok else "lacking"
        if not self.ok and self.optional:
            mark = "without"
        return f"{mark}  {self.what}" + ("" if self.ok else f": {self.mend}")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def found(command: str) -> bool:
    return shutil.which(command, path=os.environ.get("PATH", "") + _SBIN) is not None


def examine() -> list[Finding]:
    """Everything that `longshore up` with real containers leans on, looked at afresh."""
    findings = [Finding("Linux", sys.platform == "linux", "only --hollow works here")]
    findings.append(Finding("root", os.geteuid() == 0, "run as root, or use --hollow"))
    findings += [_command(*entry) for entry in COMMANDS]
    findings += [_optional(*entry) for entry in (*OPTIONAL_COMMANDS, *CRI_COMMANDS, UNASKED)]
    findings.append(Finding("overlayfs", mountable("overlay"), "modprobe overlay"))
    findings.append(control_groups())
    findings.append(_inotify())
    return findings


def require(runtime: str) -> None:
    """Raise one clear ClusterError if a cluster of this runtime cannot start here."""
    if runtime == "hollow":
        return
    findings = [one for one in examine() if not one.optional and one.name not in _UNUSED[runtime]]
    findings += [_command(*entry) for entry in CRI_COMMANDS if runtime == "cri"]
    lacking = [finding for finding in findings if not finding.ok]
    if not lacking:
        return
    if any(finding.what == "root" for finding in lacking):
        raise ClusterError("real containers need root: run as root, or use --hollow")
    what = ", ".join(finding.name for finding in lacking)
    raise ClusterError(
        f"this machine lacks {what}: longshore doctor --install mends what it can, or use --hollow"
    )


def install_missing(say: Callable[[str], None]) -> list[Finding]:
    """Install missing commands with apt, then look again. Raises ClusterError where apt can't."""
    packages = [p for command, p, _ in (*COMMANDS, *OPTIONAL_COMMANDS) if not found(command)]
    if packages:
        if os.geteuid() != 0 or not found("apt-get"):
            raise ClusterError(f"apt cannot run here: install {' '.join(packages)} by other means")
        say(f"installing {' '.join(packages)}")
        _apt("update")
        _apt("install", "-y", "--no-install-recommends", *packages)
    return examine()


def _apt(*words: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "-qq", *words], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ClusterError(f"apt-get {words[0]} failed: {last}")


def _command(command: str, package: str, purpose: str) -> Finding:
    return Finding(f"{command} ({purpose})", found(command), f"apt-get install {package}")


def _optional(command: str, package: str, purpose: str) -> Finding:
    return Finding(
        f"{command} ({purpose}, optional)", found(command), f"apt-get install {package}", True
    )


def control_groups(root: Path = Path("/sys/fs/cgroup")) -> Finding:
    """Whether groups can be made that have controllers. Within a container version 2 alone may refuse that: there the
    mount's root is a group like any other (it has a type), and one with processes in it hands no controller on
    (cgroup-v2.rst, No Internal Process Constraint)."""
    mend = ""
    if not root.is_dir():
        mend = f"mount them on {root}"
    elif (root / "cgroup.controllers").exists() and not os.access(root, os.W_OK):
        mend = f"{root} is mounted read-only: a container that is to have containers has to be privileged"
    elif (root / "cgroup.type").exists() and not _hands_on(root):
        mend = (
            f"mkdir -p {root}/init && xargs -n1 < {root}/cgroup.procs > {root}/init/cgroup.procs: "
            "while this container's processes are in its root group, no other can be bounded"
        )
    return Finding("cgroups", not mend, mend)


def _hands_on(group: Path) -> bool:
    """Whether it does, or can."""
    handed = (group / "cgroup.subtree_control").read_text().split()
    return "memory" in handed or not (group / "cgroup.procs").read_text().strip()


def mountable(name: str, root: Path = Path("/")) -> bool:
    """Whether the kernel of the machine whose files are below root has that file system, or a module of it, which it
    loads when one is mounted: on a fresh machine nobody has done that yet."""
    known = root / "proc/filesystems"
    modules = root / "lib/modules" / os.uname().release / "modules.dep"
    return any(
        path.exists() and word in path.read_text()
        for path, word in ((known, f"\t{name}\n"), (modules, f"/{name}.ko"))
    )


def _inotify() -> Finding:
    path = Path("/proc/sys/fs/inotify/max_user_instances")
    enough = not path.exists() or int(path.read_text()) >= INOTIFY_INSTANCES_MIN
    return Finding(
        "inotify instances", enough, f"sysctl fs.inotify.max_user_instances={INOTIFY_INSTANCES_MIN}"
    )
