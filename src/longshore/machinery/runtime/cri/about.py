"""What a runtime says of itself: who it is, what it can do, and whether this driver can use it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.protocol import Handler, RuntimeFailure

# As of which version image volumes work (KEP-4639).
_IMAGE_MOUNTS = {"containerd": (2, 1), "cri-o": (1, 31)}


@dataclass(frozen=True, slots=True)
class About:
    """name is the runtime's with its version, url both as Nodes tell them; own_image that of sandboxes
    themselves, where it says."""

    name: str = "the container runtime"
    url: str = ""
    own_image: str = ""
    strict_groups: bool = False
    image_mounts: bool = False
    handlers: tuple[Handler, ...] = ()

    def mounts_recursively(self, handler: str) -> bool:
        """Whether read-only mounts of pods with that handler can be recursive."""
        return any(one.name == handler and one.recursive_read_only for one in self.handlers)


def about(version: rpc.VersionResponse, status: rpc.StatusResponse) -> About:
    """status is a verbose one. Raises RuntimeFailure for a runtime that is not ready, or puts containers where
    this driver does not look for them."""
    name = f"{version.runtime_name} {version.runtime_version}"
    for condition in status.status.conditions:
        if condition.type in ("RuntimeReady", "NetworkReady") and not condition.status:
            raise RuntimeFailure(f"{name} is not ready: {condition.message or condition.type}")
    config = _config(status)
    if _uses_systemd(config):
        raise RuntimeFailure(
            f"{name} has systemd make its control groups: set SystemdCgroup = false (containerd) "
            'or cgroup_manager = "cgroupfs" (CRI-O)'
        )
    return About(
        name=name,
        url=f"{version.runtime_name}://{version.runtime_version}",
        own_image=str(config.get("sandboxImage") or ""),
        strict_groups=status.features.supplemental_groups_policy,
        handlers=tuple(
            Handler(
                one.name,
                recursive_read_only=one.features.recursive_read_only_mounts,
                user_namespaces=one.features.user_namespaces,
            )
            for one in status.runtime_handlers
        ),
        image_mounts=_number(version.runtime_version)
        >= _IMAGE_MOUNTS.get(version.runtime_name, (1 << 30,)),
    )


def _config(status: rpc.StatusResponse) -> dict[str, Any]:
    """containerd tells its plug-in's configuration as JSON; CRI-O tells TOML, of which nothing is read."""
    try:
        found = orjson.loads(status.info.get("config", ""))
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _uses_systemd(config: dict[str, Any]) -> bool:
    runtimes = (config.get("containerd") or {}).get("runtimes") or {}
    return bool(config.get("systemdCgroup")) or any(
        (one.get("options") or {}).get("SystemdCgroup") for one in runtimes.values()
    )


def _number(version: str) -> tuple[int, ...]:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0,)
