"""What runc needs of a container: its directory, record, root file system and configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import orjson

from longshore.machinery.runtime.images import StoredImage
from longshore.machinery.runtime.linux import mount
from longshore.machinery.runtime.oci import host, records
from longshore.machinery.runtime.oci.layout import Layout
from longshore.machinery.runtime.oci.live import Live, Pod
from longshore.machinery.runtime.oci.records import ContainerRecord
from longshore.machinery.runtime.oci.spec import Frame, configuration
from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    Image,
    StartFailed,
    State,
)

Devices: TypeAlias = Sequence[tuple[str, str, int, int]]
_PAGE_BYTES = 4096


def container_id(sandbox_id: str, spec: ContainerSpec) -> str:
    """64 hex digits, always the same for one attempt at one container: starting it twice is harmless."""
    return sha256(f"{sandbox_id}/{spec.name}/{spec.attempt}".encode()).hexdigest()


def record_of(identity: str, sandbox_id: str, spec: ContainerSpec, image: Image) -> ContainerRecord:
    container = Container(
        id=identity,
        sandbox=sandbox_id,
        name=spec.name,
        attempt=spec.attempt,
        image=spec.image,
        image_id=image.id,
        state=State.CREATED,
        log_path=spec.log_path,
        labels=dict(spec.labels),
    )
    return ContainerRecord(container, image.stop_signal, spec.resources.cpu_shares)


def lay_out(layout: Layout, live: Live, layers: Path, stored: StoredImage) -> None:
    """Directory, record, root file system."""
    live.directory.mkdir(mode=0o700)
    records.write_container(live.directory, live.record)
    _mount_root(live.directory, layout.written(live.directory), layers, stored)


def configure(directory: Path, spec: ContainerSpec, stored: StoredImage, frame: Frame) -> None:
    """The configuration, and where the log goes."""
    user = host.user_of(directory / "rootfs", spec.security.user or stored.image.user)
    config = configuration(spec, stored.image, user, frame)
    (directory / "config.json").write_bytes(orjson.dumps(config))
    Path(spec.log_path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)


def frame(layout: Layout, container: Container, pod: Pod, *, pid: str, devices: Devices) -> Frame:
    """What a container is put into; pid is another's namespace of processes, "" for its own."""
    own = f"/proc/{os.getpid()}/fd"
    sandbox = pod.record.sandbox
    return Frame(
        hostname=pod.record.hostname,
        netns=sandbox.netns,
        ipc=f"{own}/{pod.ipc}",
        uts=f"{own}/{pod.uts}",
        shm=str(layout.sandbox(sandbox.id) / "shm"),
        cgroup=layout.group(container),
        rootfs="rootfs",
        bounding=host.bounding_capabilities(),
        pid=pid,
        devices=devices,
    )


def _mount_root(directory: Path, written: Path, layers: Path, stored: StoredImage) -> None:
    for path in (directory / "rootfs", written, written / "upper", written / "work"):
        path.mkdir(mode=0o755)
    lower = ":".join(f"{layers}/{layer}/fs" for layer in stored.layers)
    # Volatile: what a container writes need not outlive a power cut, nor does the container.
    options = f"lowerdir={lower},upperdir={written}/upper,workdir={written}/work,volatile"
    if len(options) >= _PAGE_BYTES:
        raise StartFailed(
            f"the image has {len(stored.layers)} layers: more than one overlay mount takes"
        )
    mount("overlay", directory / "rootfs", "overlay", 0, options)
