"""One layer's tar into a directory that overlayfs can use as a lower layer.

The tar is not trusted. Every path is resolved by the kernel with the layer's directory as the root
(openat2, RESOLVE_IN_ROOT), so that neither ".." nor a symbolic link leads out of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from longshore.machinery.runtime.linux import open_beneath

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
# Attributes an image may set. trusted.overlay.* would let it rewrite what lies below.
_XATTRS = ("security.capability", "user.")
_PAX_XATTR = "SCHILY.xattr."


class _Hashed:
    """Counts and hashes what is read through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._hash.update(piece)
        self.size += len(piece)
        return piece

    def finish(self) -> str:
        while self.read(1 << 20):
            pass
        return self._hash.hexdigest()


def unpack_layer(stream: IO[bytes], diff_id: str, target: Path) -> int:
    """Fill the empty directory target; the uncompressed size. Raises ValueError if the content is
    not what diff_id (hex) says, tarfile.TarError and OSError as they come."""
    source = _Hashed(stream)
    with _Writer(target) as writer, tarfile.open(fileobj=source, mode="r|") as tar:  # type: ignore[call-overload]
        for member in tar:
            writer.add(member, tar)
            tar.members = []  # a stream of a million files must not be remembered
    if source.finish() != diff_id:
        raise ValueError(f"the layer sha256:{diff_id} does not have that content")
    return source.size


class _Writer:
    """Writes members below one directory. Parents are looked up once while they stay the same."""

    def __init__(self, target: Path) -> None:
        self._root = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        self._parent = ""
        self._parent_fd = os.dup(self._root)
        self._times: list[tuple[str, float]] = []

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: object) -> None:
        for path, mtime in reversed(self._times):
            with contextlib.suppress(OSError):
                self._stamp(path, mtime)
        os.close(self._parent_fd)
        os.close(self._root)

    def add(self, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        path = _clean(member.name)
        parent, _, name = path.rpartition("/")
        if not name:
            self._own_root(member)
            return
        at = self._enter(parent)
        if name.startswith(_WHITEOUT):
            self._whiteout(name, at)
            return
        if member.isreg():
            self._file(member, name, at, tar)
            return
        self._special(member, name, at)
        if member.isdir():
            self._times.append((path, member.mtime))
        else:
            self._parent = "\0"  # a parent may just have become a link: look it up again

    def _enter(self, parent: str) -> int:
        if parent != self._parent:
            fresh = self._directory(parent)
            os.close(self._parent_fd)
            self._parent, self._parent_fd = parent, fresh
        return self._parent_fd

    def _directory(self, path: str) -> int:
        """The directory of that path, made where it is missing (layers may leave parents out)."""
        try:
            return open_beneath(self._root, path or ".", os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            above, _, name = path.rpartition("/")
            at = self._directory(above)
            try:
                os.mkdir(name, 0o755, dir_fd=at)
            finally:
                os.close(at)
            return open_beneath(self._root, path, os.O_RDONLY | os.O_DIRECTORY)

    def _own_root(self, member: tarfile.TarInfo) -> None:
        if member.isdir():
            os.fchown(self._root, member.uid, member.gid)
            os.fchmod(self._root, member.mode & 0o7777)

    def _whiteout(self, name: str, at: int) -> None:
        if name == _OPAQUE:
            _set_opaque(at)
        elif not name.startswith(".wh..wh."):  # other such names are aufs's own bookkeeping
            hidden = name.removeprefix(_WHITEOUT)
            if _clean(hidden) != hidden:
                raise ValueError(f'"{name}" is not a whiteout')
            # A whiteout speaks of the layers below; what this layer itself brings stays.
            with contextlib.suppress(FileExistsError):
                os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=at)

    def _file(self, member: tarfile.TarInfo, name: str, at: int, tar: tarfile.TarFile) -> None:
        _clear(name, at)
        content = tar.extractfile(member)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=at)
        with os.fdopen(fd, "wb", buffering=0) as out:
            if content is not None and member.size:
                shutil.copyfileobj(content, out, 1 << 18)
            os.fchown(fd, member.uid, member.gid)
            os.fchmod(fd, member.mode & 0o7777)
            for attribute, value in _attributes(member):
                os.setxattr(fd, attribute, value)
            os.utime(fd, (member.mtime, member.mtime))

    def _special(self, member: tarfile.TarInfo, name: str, at: int) -> None:
        if member.isdir():
            self._make_directory(name, at)
        elif member.issym():
            _clear(name, at)
            os.symlink(member.linkname, name, dir_fd=at)
        elif member.islnk():
            self._hard_link(member, name, at)
            return
        elif member.ischr() or member.isblk() or member.isfifo():
            _clear(name, at)
            os.mknod(
                name,
                _format(member) | 0o600,
                os.makedev(member.devmajor, member.devminor),
                dir_fd=at,
            )
        else:
            raise ValueError(f'"{member.name}" is of an unknown kind')
        os.chown(name, member.uid, member.gid, dir_fd=at, follow_symlinks=False)
        if not member.issym():
            os.chmod(name, member.mode & 0o7777, dir_fd=at)
            os.utime(name, (member.mtime, member.mtime), dir_fd=at, follow_symlinks=False)

    def _make_directory(self, name: str, at: int) -> None:
        try:
            found = os.stat(name, dir_fd=at, follow_symlinks=False)
        except FileNotFoundError:
            os.mkdir(name, 0o700, dir_fd=at)
            return
        if stat.S_ISDIR(found.st_mode):
            return
        _clear(name, at)
        os.mkdir(name, 0o700, dir_fd=at)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            # Removed and made anew in one layer: nothing from below may shine through.
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            _set_opaque(fd)
            os.close(fd)

    def _hard_link(self, member: tarfile.TarInfo, name: str, at: int) -> None:
        above, _, target = _clean(member.linkname).rpartition("/")
        source = open_beneath(self._root, above or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            _clear(name, at)
            os.link(target, name, src_dir_fd=source, dst_dir_fd=at, follow_symlinks=False)
        finally:
            os.close(source)

    def _stamp(self, path: str, mtime: float) -> None:
        fd = open_beneath(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.utime(fd, (mtime, mtime))
        finally:
            os.close(fd)


def _clean(name: str) -> str:
    """A member's path without empty and "." parts. Raises ValueError for one that climbs."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise ValueError(f'"{name}" leads out of the layer')
    return "/".join(parts)


def _clear(name: str, at: int) -> None:
    """A later member replaces an earlier one of the same name."""
    try:
        os.unlink(name, dir_fd=at)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):
        shutil.rmtree(name, dir_fd=at)


def _attributes(member: tarfile.TarInfo) -> Iterator[tuple[str, bytes]]:
    for key, value in member.pax_headers.items():
        name = key.removeprefix(_PAX_XATTR)
        if name != key and name.startswith(_XATTRS):
            yield name, value.encode("utf-8", "surrogateescape")


def _format(member: tarfile.TarInfo) -> int:
    if member.isfifo():
        return stat.S_IFIFO
    return stat.S_IFCHR if member.ischr() else stat.S_IFBLK


def _set_opaque(directory: int) -> None:
    os.setxattr(directory, "trusted.overlay.opaque", b"y")
