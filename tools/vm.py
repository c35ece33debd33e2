"""A virtual machine as most people's machines are: Debian under systemd, with version 2 of control groups alone.

Usage: vm.py [COMMAND...], as root on Debian. It runs the command from this checkout, which it sees under the same path
and cannot change, and ends with its exit code; without a command there is a shell. What it writes to /out stays in
build/vm/out. It has no network and forgets everything else.
The first run makes its disk in build/vm, of the packages that the tests need, from where this machine gets its own;
remove that directory to have it made anew. Without KVM the processor is emulated: some ten times slower.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "vm"
OUT, DISK, KERNEL, INITRD = (PLACE / name for name in ("out", "disk", "kernel", "initrd"))
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap"}
DISK_SIZE, MEMORY_MB = "16G", 4096
# What a machine has, and `tools/bootstrap test` takes for granted.
PACKAGES = (
    "linux-image-amd64", "systemd-sysv", "dbus", "udev", "kmod", "python3", "python3-venv", "procps", "git", "curl",
    "openssl", "iproute2",
)  # fmt: skip
# The disk is made in order: the first run's tests are not to wait for the kernel's own lazy making.
MKFS = ("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0")
# An emulated machine is slow to start what others wait for.
BOOT = "root=/dev/vda rw console=ttyS0 quiet panic=-1 systemd.default_timeout_start_sec=600"
UNIT = """[Unit]
Description=What this machine was started for
After=multi-user.target

[Service]
Type=idle
ExecStart=/usr/local/sbin/task
StandardInput=tty
StandardOutput=tty
TTYPath=/dev/ttyS1
TTYReset=yes
ExecStopPost=/bin/systemctl poweroff

[Install]
WantedBy=graphical.target
"""
# The checkout is shared read-only; what tests leave in it is in memory.
TASK = """#!/bin/sh
share() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=524288,$3" "$1" "$2"; }
mkdir -p /out /checkout /written && share out /out cache=none
mount -t tmpfs written /written && mkdir /written/upper /written/work
here=$(cat /out/.place) && mkdir -p "$here" && share checkout /checkout ro,cache=loose
mount -t overlay -o lowerdir=/checkout,upperdir=/written/upper,workdir=/written/work overlay "$here"
cd "$here" || exit
HOME=/root TERM=${TERM:-vt100} bash -c "$(cat /out/.command)"
echo $? > /out/.status
"""
INSTALL = """set -e
install -m755 "$BOOTSTRAP" "$1/tmp/bootstrap"
chroot "$1" bash /tmp/bootstrap test
rm "$1/tmp/bootstrap"
printf '%s' "$UNIT" > "$1/etc/systemd/system/task.service"
printf '%s' "$TASK" > "$1/usr/local/sbin/task"
chmod 755 "$1/usr/local/sbin/task"
chroot "$1" systemctl -q enable task
"""


def main(words: list[str]) -> int:
    refuse_what_cannot_be()
    if not DISK.exists():
        make_disk()
    OUT.mkdir(exist_ok=True)
    (OUT / ".status").unlink(missing_ok=True)
    (OUT / ".place").write_text(str(ROOT))
    (OUT / ".command").write_text(shlex.join(words) if words else "exec bash -l")
    subprocess.run(machine(), check=True)
    status = OUT / ".status"
    return int(status.read_text()) if status.exists() else 1


def refuse_what_cannot_be() -> None:
    lacking = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    if lacking:
        sys.exit(f"vm: this machine lacks {' '.join(lacking)} (Debian: apt install)")
    if os.geteuid() != 0:
        sys.exit("vm: run it as root: the machine's files are root's")


def make_disk() -> None:
    """The machine's files, as a file system. It is there when it is whole."""
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE) as place:
        files, disk = Path(place, "files"), Path(place, "disk")
        subprocess.run(debian(files), check=True, env=os.environ | hooks())
        for name, kept in (("vmlinuz", KERNEL), ("initrd.img", INITRD)):
            kept.write_bytes((files / name).resolve().read_bytes())
        subprocess.run([*MKFS, "-d", str(files), str(disk), DISK_SIZE], check=True)
        disk.rename(DISK)


def debian(files: Path) -> list[str]:
    """The same release as this machine's, for .venv is made for its Python, from the same mirrors."""
    return [
        "mmdebstrap", "--variant=apt", "--dpkgopt=force-unsafe-io", f"--include={','.join(PACKAGES)}", '--aptopt=APT::Install-Recommends "false"',
        f"--customize-hook={INSTALL}", release(), str(files), *mirrors(),
    ]  # fmt: skip


def hooks() -> dict[str, str]:
    return {"BOOTSTRAP": str(ROOT / "tools" / "bootstrap"), "UNIT": UNIT, "TASK": TASK}


def release() -> str:
    text = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=(\w+)$", text, re.MULTILINE)
    return found[1] if found else "stable"


def mirrors() -> Iterator[str]:
    yield from (str(file) for file in Path("/etc/apt").glob("sources.list"))
    yield from (str(file) for file in Path("/etc/apt/sources.list.d").glob("debian.sources"))


def machine() -> list[str]:
    """qemu's words. Each of the two serial lines is for one: the first for the kernel, the second for the task."""
    return [
        "qemu-system-x86_64", "-machine", "q35", *processor(), "-smp", str(os.cpu_count()), "-m", str(MEMORY_MB),
        "-nic", "none", "-display", "none", "-no-reboot", "-snapshot", "-device", "virtio-rng-pci",
        "-drive", f"file={DISK},format=raw,if=virtio", "-kernel", str(KERNEL), "-initrd", str(INITRD),
        "-append", BOOT,
        "-serial", f"file:{PLACE / 'console'}", "-serial", "stdio",
        "-virtfs", f"local,path={ROOT},mount_tag=checkout,security_model=none,readonly=on,multidevs=remap",
        "-virtfs", f"local,path={OUT},mount_tag=out,security_model=none",
    ]  # fmt: skip


def processor() -> list[str]:
    virtual = re.search(r"\b(vmx|svm)\b", Path("/proc/cpuinfo").read_text())
    if virtual and os.access("/dev/kvm", os.W_OK):
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi", "-cpu", "max"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
