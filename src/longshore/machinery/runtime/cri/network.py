"""A pod's network for runtimes that make their own: a CNI plug-in that takes the one that is there.

A CRI runtime makes a network namespace for each sandbox and has a CNI plug-in set it up. Ours are made before,
by the node's pod network. So the plug-in puts the pod's namespace in the place of the fresh one, before anything
runs in it, and gives the pod's addresses as its result. It finds both in a file named by the pod's uid. It is
a few lines of shell: they start in a millisecond or two, and a runtime executes them for every sandbox.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path

import orjson

from longshore.base.files import write_private

# The CNI specification whose configurations and results these are (containernetworking/cni, SPEC.md).
CNI_VERSION = "0.4.0"
_NAME = "longshore"
_CONFIGURATION = {"cniVersion": CNI_VERSION, "name": _NAME, "plugins": [{"type": _NAME}]}
# The runtime's own plug-in for lo, which pods' namespaces have up already.
_LOOPBACK = "loopback"
_MARK = b"# Gives a sandbox the network that its pod has already"
_PLUGIN = """#!/bin/sh
# Gives a sandbox the network that its pod has already (CNI %(version)s).
fail() {
    echo "{\\"cniVersion\\":\\"%(version)s\\",\\"code\\":100,\\"msg\\":\\"$1\\"}"
    exit 1
}
case $CNI_COMMAND in
VERSION)
    echo '{"cniVersion":"%(version)s","supportedVersions":["%(version)s"]}'
    exit ;;
ADD) ;;
*) exit ;;
esac
case $0 in *%(loopback)s)
    echo '{"cniVersion":"%(version)s","interfaces":[]}'
    exit ;;
esac
uid=${CNI_ARGS##*K8S_POD_UID=}
uid=${uid%%%%;*}
[ -r "%(directory)s/$uid" ] || fail "no network was given for the pod $uid: only a longshore agent runs pods here"
{ read -r netns && read -r result; } < "%(directory)s/$uid" || fail "the network given for the pod $uid cannot be read"
umount "$CNI_NETNS" || fail "$CNI_NETNS cannot be unmounted"
mount --bind "$netns" "$CNI_NETNS" || fail "$netns cannot be bound on $CNI_NETNS"
echo "$result"
"""


def install(directory: Path, *, configurations: Path, programs: Path) -> None:
    """Write the plug-in and its configuration where a runtime looks for them; directory is that of a
    Handover. Raises OSError."""
    for path in (directory, configurations, programs):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    words = {"version": CNI_VERSION, "directory": directory, "loopback": _LOOPBACK}
    for name in (_NAME, _LOOPBACK):
        program = programs / name
        if name == _LOOPBACK and program.exists() and _MARK not in program.read_bytes():
            continue  # the reference plug-in does as well
        write_private(program, (_PLUGIN % words).encode())
        program.chmod(0o700)
    write_private(configurations / f"10-{_NAME}.conflist", orjson.dumps(_CONFIGURATION))


def uninstall(*, configurations: Path, programs: Path) -> None:
    """Take both away again. Idempotent. The runtime's own loopback plug-in is left, if it is not ours."""
    (configurations / f"10-{_NAME}.conflist").unlink(missing_ok=True)
    for name in (_NAME, _LOOPBACK):
        program = programs / name
        if program.exists() and _MARK in program.read_bytes():
            program.unlink()


class Handover:
    """The networks that are given to sandboxes to come, a file each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def give(self, uid: str, netns: str, ips: Sequence[str]) -> None:
        """Raises OSError."""
        result = orjson.dumps(_result(ips)).decode()
        (self._directory / uid).write_text(f"{netns}\n{result}\n")

    def take_back(self, uid: str) -> None:
        """Idempotent."""
        (self._directory / uid).unlink(missing_ok=True)


def _result(ips: Sequence[str]) -> dict[str, object]:
    """A pod has one link, eth0; a runtime wants an address of it."""
    addresses = [ipaddress.ip_address(ip) for ip in ips or ("127.0.0.1",)]
    return {
        "cniVersion": CNI_VERSION,
        "interfaces": [{"name": "eth0", "sandbox": "pod"}],
        "ips": [
            {
                "version": str(one.version),
                "address": f"{one}/{one.max_prefixlen}",
                "interface": 0,
            }
            for one in addresses
        ],
    }
