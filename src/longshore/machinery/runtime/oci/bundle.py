"""What runc needs of a container: its directory, record, root file system and configuration."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from longshore.machinery.runtime.images import ImageStore, StoredImage
from longshore.machinery.runtime.linux import (
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    mount,
    open_beneath,
)
from longshore.machinery.runtime.oci import host, limits, records
from longshore.machinery.runtime.oci.filters import Filters
from longshore.machinery.runtime.oci.layout import Layout
from longshore.machinery.runtime.oci.live import Live
from longshore.machinery.runtime.oci.records import ContainerRecord
from longshore.machinery.runtime.oci.sandboxes import Pod
from longshore.machinery.runtime.oci.seccomp_files import Circumstances, from_file
from longshore.machinery.runtime.oci.spec import Frame, capabilities, configuration, groups
from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    Image,
    ImageMissing,
    Mount,
    Security,
    StartFailed,
    State,
)

_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Known:
    """What was found out for earlier containers and holds for others like them."""

    filters: Filters = field(default_factory=Filters)
    users: host.Users = field(default_factory=host.Users)


def container_id(sandbox_id: str, spec: ContainerSpec) -> str:
    """64 hex digits, always the same for one attempt at one container: starting it twice is harmless."""
    return sha256(f"{sandbox_id}/{spec.name}/{spec.attempt}".encode()).hexdigest()


def record_of(
    identity: str, sandbox_id: str, spec: ContainerSpec, image: Image, *, shares_pids: bool
) -> ContainerRecord:
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
        stop_signal=spec.stop_signal or image.stop_signal,
    )
    return ContainerRecord(container, shares_pids)


def make_room(live: Live) -> None:
    """Its directory, and where its log goes."""
    live.directory.mkdir(mode=0o700)
    Path(live.container.log_path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)


def lay_out(layout: Layout, live: Live, images: ImageStore, stored: StoredImage) -> None:
    """The root file system."""
    _mount_root(live.directory, layout.written(live.directory), images.layers_dir, stored)


def configure(
    live: Live,
    frame: Frame,
    spec: ContainerSpec,
    images: ImageStore,
    stored: StoredImage,
    known: Known,
) -> ContainerRecord:
    """The configuration and the record, which knows the user now. Raises ValueError, ImageMissing or OSError."""
    wanted = spec.security.user or stored.image.user
    user = known.users.find(stored.image.id, live.directory / "rootfs", wanted)
    shown = replace(spec, mounts=show_images(live.directory, images, spec.mounts))
    config = configuration(shown, stored.image, user, frame)
    (live.directory / "config.json").write_bytes(orjson.dumps(known.filters.told(config)))
    who = (user.uid, user.gid, *groups(spec.security, user))
    record = replace(live.record, container=replace(live.container, user=who))
    records.write_container(live.directory, record)
    return record


def group_of(directory: Path) -> str:
    """The control group of the container of that directory; "" if it has none yet."""
    with contextlib.suppress(FileNotFoundError, orjson.JSONDecodeError):
        document = orjson.loads((directory / "config.json").read_bytes())
        return str(document["linux"]["cgroupsPath"])
    return ""


def frame_of(live: Live, pod: Pod, spec: ContainerSpec, pid: str | None) -> Frame:
    """What a container is put into; pid as Frame has it. Raises ValueError for a device or a profile
    that is none, OSError for one that is not there."""
    bounding = host.bounding_capabilities()
    nodes = host.all_nodes() if spec.security.privileged else []
    return Frame(
        hostname=pod.record.hostname,
        namespaces=pod.namespaces,
        shm=pod.shm,
        cgroup=live.group,
        rootfs="rootfs",
        bounding=bounding,
        pid=pid,
        devices=nodes + host.nodes(spec.devices),
        oom_floor=host.oom_floor(),
        seccomp=_seccomp(spec.security, bounding),
        unified=limits.besides_here(),
    )


def _seccomp(security: Security, bounding: frozenset[str]) -> dict[str, Any] | None:
    if not security.seccomp_profile:
        return None
    path = Path(security.seccomp_profile)
    here = os.uname()
    given = frozenset(capabilities(security, bounding))
    try:
        return from_file(
            orjson.loads(path.read_bytes()), Circumstances(given, here.machine, here.release)
        )
    except ValueError as error:
        raise ValueError(f"seccomp profile {path}: {error}") from error


def _mount_root(directory: Path, written: Path, layers: Path, stored: StoredImage) -> None:
    for path in (directory / "rootfs", written, written / "upper", written / "work"):
        path.mkdir(mode=0o755)
    lower = _layers(layers, stored)
    # Volatile: what a container writes need not outlive a power cut, nor does the container.
    options = f"lowerdir={lower},upperdir={written}/upper,workdir={written}/work,volatile"
    _overlay(directory / "rootfs", options, stored)


def _layers(layers: Path, stored: StoredImage) -> str:
    return ":".join(f"{layers}/{layer}/fs" for layer in stored.layers)


def _overlay(place: Path, options: str, stored: StoredImage, flags: int = 0) -> None:
    if len(options) >= _PAGE_BYTES:
        raise StartFailed(
            f"the image has {len(stored.layers)} layers: more than one overlay mount takes"
        )
    mount("overlay", place, "overlay", flags, options)


def show_images(directory: Path, images: ImageStore, mounts: Sequence[Mount]) -> list[Mount]:
    """Mounts with the paths of image volumes (KEP-4639): each a mount of the image's layers below the
    container's directory, which goes with it. Raises ImageMissing, StartFailed or OSError."""
    return [
        replace(mount, source=_shown(directory / f"image-{number}", images, mount))
        if mount.image
        else mount
        for number, mount in enumerate(mounts)
    ]


def _shown(place: Path, images: ImageStore, wanted: Mount) -> str:
    """The path of what the volume shows, which may not lead out of the image."""
    stored = images.find(wanted.image)
    if stored is None:
        raise ImageMissing(f'image "{wanted.image}" is not on this node')
    nothing = place.with_name("nothing")
    for path in (place, nothing):
        path.mkdir(mode=0o755, exist_ok=True)
    # Without a layer to write to, overlayfs wants two others.
    options = f"lowerdir={_layers(images.layers_dir, stored)}:{nothing}"
    _overlay(place, options, stored, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    root = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = open_beneath(root, wanted.source or ".", os.O_PATH)
        try:
            return os.readlink(f"/proc/self/fd/{found}")
        finally:
            os.close(found)
    finally:
        os.close(root)
