"""Find out what this machine and its runtime can do for pods beyond what all of them can, and whose it is."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from longshore.machinery.kubelet.config import RUNTIME_NAME
from longshore.machinery.kubelet.containers.support import Abilities
from longshore.machinery.kubelet.volumes import mounting
from longshore.machinery.runtime.protocol import CanExec, HasVersion, Runtime

_APPARMOR = Path("/sys/module/apparmor/parameters/enabled")


def abilities(runtime: Runtime) -> Abilities:
    """Of this node."""
    return Abilities(isinstance(runtime, CanExec), _apparmor(), mounting.may_recurse())


def runtime_name(runtime: Runtime) -> str:
    """As ids of containers begin with it: "containerd" of containerd://1.6.20."""
    told = runtime.version() if isinstance(runtime, HasVersion) else ""
    return told.partition("://")[0] or RUNTIME_NAME


@cache
def _apparmor() -> bool:
    """It does not change while the machine is up."""
    return _APPARMOR.exists() and _APPARMOR.read_text().startswith("Y")
