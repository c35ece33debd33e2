"""Find out what this machine and its runtime can do for pods beyond what all of them can."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from longshore.machinery.kubelet.support import Abilities
from longshore.machinery.kubelet.volumes import mounting
from longshore.machinery.runtime.protocol import CanExec, Runtime

_APPARMOR = Path("/sys/module/apparmor/parameters/enabled")


def abilities(runtime: Runtime) -> Abilities:
    """Of this node."""
    return Abilities(isinstance(runtime, CanExec), _apparmor(), mounting.may_recurse())


@cache
def _apparmor() -> bool:
    """It does not change while the machine is up."""
    return _APPARMOR.exists() and _APPARMOR.read_text().startswith("Y")
