"""Bring volumes onto the node and take them away again. What they hold was decided in plan.py.

Below POD_DIR (private, mode 0700): volumes/NAME, subpaths/CONTAINER/NUMBER. Everything may be
repeated: an agent that starts again finds its volumes and only writes what changed.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from longshore.base.files import told
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.containers.facts import ConfigMissing
from longshore.machinery.kubelet.volumes import mounting
from longshore.machinery.kubelet.volumes.atomic import write_files
from longshore.machinery.kubelet.volumes.plan import (
    EmptyDir,
    HostPath,
    ImageVolume,
    Payload,
    Volume,
    sub_path,
)
from longshore.machinery.kubelet.volumes.propagation import hindrance, named
from longshore.machinery.runtime.protocol import Mount, Propagation

_SET_GID = 0o2000


class VolumeFailure(Exception):
    """A volume cannot be mounted; the message says which and why."""


class PodVolumes:
    """The volumes of one pod, below its own directory."""

    def __init__(self, pod_dir: Path) -> None:
        self._dir = pod_dir
        self._sources: dict[str, Path] = {}
        # What the agent writes, containers only read (as upstream: these plugins' ReadOnly), and
        # what a claim is mounted for reading.
        self._read_only: set[str] = set()
        self._images: dict[str, str] = {}

    def set_up(self, volumes: Iterable[Volume], stamp: str) -> None:
        """See that every volume is there. Raises VolumeFailure."""
        for volume in volumes:
            if isinstance(volume, ImageVolume):
                self._images[volume.name] = volume.reference
                continue
            if isinstance(volume, Payload) or (isinstance(volume, HostPath) and volume.read_only):
                self._read_only.add(volume.name)
            try:
                self._sources[volume.name] = self._set_up(volume, stamp)
            except OSError as error:
                raise VolumeFailure(f'MountVolume.SetUp failed for volume "{volume.name}" : '
                                    f"{told(error)}") from error  # fmt: skip

    def _set_up(self, volume: HostPath | EmptyDir | Payload, stamp: str) -> Path:
        match volume:
            case HostPath():
                return _host_path(volume)
            case EmptyDir():
                return self._empty_dir(volume)
            case Payload():
                return self._payload(volume, stamp)

    def _directory(self, name: str, mode: int) -> Path:
        directory = self._dir / "volumes" / name
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(mode)
        return directory

    def _empty_dir(self, volume: EmptyDir) -> Path:
        known = self._sources.get(volume.name)
        if known is not None:
            return known
        directory = self._directory(volume.name, 0o777)
        if (
            volume.medium == "memory"
            and mounting.may_mount()
            and not mounting.has_own_files(directory)
        ):
            mounting.mount_tmpfs(directory, volume.size_bytes, 0o777)
        if volume.gid is not None:
            os.chown(directory, -1, volume.gid)
            directory.chmod(0o777 | _SET_GID)
        return directory

    def _payload(self, volume: Payload, stamp: str) -> Path:
        new = volume.name not in self._sources
        directory = self._directory(volume.name, 0o755) if new else self._sources[volume.name]
        if new and volume.secret and mounting.may_mount() and not mounting.has_own_files(directory):
            mounting.mount_tmpfs(directory, 0, 0o755)
        write_files(directory, volume.files, stamp, volume.gid)
        return directory

    def mounts(self, container: Doc, env: dict[str, str]) -> Sequence[Mount]:
        """The container's volumeMounts, shortest target first so that none hides another.
        Raises ConfigMissing or VolumeFailure."""
        entries = sorted(container.get("volumeMounts") or [], key=lambda m: len(m["mountPath"]))
        return [self._mount(container["name"], i, m, env) for i, m in enumerate(entries)]

    def _mount(self, container: str, number: int, mount: Doc, env: dict[str, str]) -> Mount:
        sub, target = sub_path(mount, env), f"/{mount['mountPath'].removeprefix('/')}"
        if mount["name"] in self._images:
            return Mount(sub, target, read_only=True, image=self._images[mount["name"]])
        source = self._sources.get(mount["name"])
        if source is None:
            raise ConfigMissing(f'volumeMount refers to unknown volume "{mount["name"]}"')
        propagation = named(mount.get("mountPropagation"))
        self._spread(source, propagation)
        if sub:
            pin = self._dir / "subpaths" / container / str(number)
            try:
                source = pin_sub_path(source, sub, pin)
            except OSError as error:
                raise VolumeFailure(f'failed to prepare subPath "{sub}" of volume '
                                    f'"{mount["name"]}": {error}') from error  # fmt: skip
        read_only = bool(mount.get("readOnly")) or mount["name"] in self._read_only
        asked = mount.get("recursiveReadOnly") in ("Enabled", "IfPossible")
        recursive = read_only and asked
        return Mount(str(source), target, read_only, recursive, propagation)

    def _spread(self, source: Path, propagation: Propagation) -> None:
        """See that mounts can be passed on from there. A directory of ours is made a mount of its own for
        that; what is the node's has to be one. Raises VolumeFailure."""
        if propagation is Propagation.PRIVATE:
            return
        if self._dir in source.parents:
            mounting.share(source)
        mountinfo = Path("/proc/self/mountinfo").read_text()
        if why := hindrance(os.path.realpath(source), propagation, mountinfo):
            raise VolumeFailure(why)

    def tear_down(self) -> None:
        """Unmount and delete everything of the pod. Blocking: emptyDirs may be large."""
        mounting.unmount_below(self._dir)
        shutil.rmtree(self._dir, ignore_errors=True)

    def release(self) -> None:
        """Unmount and delete the volumes of a pod that has ended; its other files stay."""
        for part in ("subpaths", "volumes"):
            mounting.unmount_below(self._dir / part)
            shutil.rmtree(self._dir / part, ignore_errors=True)
        self._sources.clear()


# How a hostPath's type is checked, and named where it is not that (pkg/volume/hostpath: hostPathTypeChecker).
_TYPES: Mapping[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "directory"),
    "File": (stat.S_ISREG, "file"),
    "FileOrCreate": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket file"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
}


def _host_path(volume: HostPath) -> Path:
    path = Path(volume.path)
    match volume.type:
        case "DirectoryOrCreate":
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
        case "FileOrCreate":
            path.touch(mode=0o644, exist_ok=True)
    if volume.type and not _is(path, volume.type):
        what = _TYPES[volume.type][1]
        raise OSError(f"hostPath type check failed: {volume.path} is not a {what}")
    if not volume.type and not path.exists():
        # Without a type nothing is checked; the runtime would make a directory (as Docker did).
        path.mkdir(mode=0o755, parents=True)
    return path


def _is(path: Path, kind: str) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return _TYPES[kind][0](mode)


def pin_sub_path(volume: Path, sub: str, pin: Path) -> Path:
    """A place that shows volume/sub, made if absent, and cannot be led out of the volume.

    A container may swap a directory for a symlink between our check and the mount, so the path
    is opened step by step without following links and that very descriptor is bound to pin
    (pkg/volume/util/subpath does the same). Without root the checked path itself is given.
    Raises OSError.
    """
    resolved, root = os.path.realpath(volume / sub), os.path.realpath(volume)
    if resolved != root and not resolved.startswith(root + "/"):
        raise OSError(f"{sub} leads out of the volume")
    handle = _open_beneath(root, os.path.relpath(resolved, root))
    try:
        if not mounting.may_mount():
            return Path(resolved)
        return _pinned(handle, pin)
    finally:
        os.close(handle)


def _pinned(handle: int, pin: Path) -> Path:
    if mounting.is_mount(pin):
        mounting.unmount_below(pin)
    pin.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        pin.mkdir(exist_ok=True)
    else:
        pin.touch()
    mounting.bind(f"/proc/self/fd/{handle}", pin)
    return pin


def _open_beneath(root: str, relative: str) -> int:
    """A descriptor of root/relative; missing directories are made, links are not followed."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(root, flags)
    for part in () if relative == "." else relative.split("/"):
        try:
            try:
                inner = os.open(part, flags, dir_fd=handle)
            except FileNotFoundError:
                os.mkdir(part, 0o755, dir_fd=handle)
                inner = os.open(part, flags, dir_fd=handle)
            if stat.S_ISLNK(os.fstat(inner).st_mode):
                os.close(inner)
                raise OSError(f"{part} became a symbolic link")
        finally:
            os.close(handle)
        handle = inner
    return handle
