"""What a container gets with its devices, and what can be in the way. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from longshore.machinery.runtime.protocol import ContainerSpec, Device, Hook, Mount


class PluginFailure(Exception):
    """A plugin or driver did not do what it was asked; the message says why."""


class NoSuchDevice(Exception):
    """A CDI device cannot be had as it is described; the message says why."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Devices of one resource that a container has, and what their plugin said it gets with them
    (ContainerAllocateResponse). cdi are qualified names: VENDOR/CLASS=DEVICE."""

    resource: str
    ids: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    cdi: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extras:
    """What is added to a container. env gives way to the container's own variables; edited, which
    CDI specifications add, does not."""

    env: Mapping[str, str] = field(default_factory=dict)
    edited: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    hooks: tuple[Hook, ...] = ()
    groups: tuple[int, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def equipped(spec: ContainerSpec, extras: Extras) -> ContainerSpec:
    """The container with its devices. What it mounts itself is not covered by a plugin's mount."""
    taken = {mount.target for mount in spec.mounts}
    mounts = [mount for mount in extras.mounts if mount.target not in taken]
    security = spec.security
    if extras.groups:
        groups = dict.fromkeys((*security.groups, *extras.groups))
        security = replace(security, groups=tuple(groups))
    return replace(
        spec,
        env=list({**extras.env, **dict(spec.env), **extras.edited}.items()),
        mounts=[*spec.mounts, *mounts],
        devices=[*spec.devices, *extras.devices],
        hooks=[*spec.hooks, *extras.hooks],
        annotations={**spec.annotations, **extras.annotations},
        security=security,
    )
