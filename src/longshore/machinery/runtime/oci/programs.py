"""The programs of this machine that make containers, and how each of them is asked.

crun starts a container with less than half of runc's processor time, so it is taken where it works. It refuses
machines on which version 2 of control groups has controllers beside version 1 (hybrid): there it is shown
a world without version 2, which it does not need for anything.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from longshore.machinery.runtime.oci import cgroups
from longshore.machinery.runtime.oci.sealed import sealed
from longshore.machinery.runtime.protocol import RuntimeFailure, StartFailed

_PATHS = ":/usr/sbin:/sbin"
_V2_BESIDE_V1 = Path("/sys/fs/cgroup/unified")
# In a mount namespace of its own, which ends with it. Propagation stays as it is, for volumes that
# share mounts with the host, but for what is covered: unshare makes that private to mount a proc on it. crun
# makes directories there all the same, in a tmpfs that goes with the namespace.
_COVERED = f"--mount-proc={_V2_BESIDE_V1}"
_WITHOUT_V2 = f'mount -t tmpfs none {_V2_BESIDE_V1} && exec "$0" "$@"'


@dataclass(frozen=True, slots=True)
class Maker:
    """An OCI runtime. command are the words it is called by; state is where it keeps what it knows of
    its containers. reads_start: a created container's init waits for a byte in exec.fifo (crun);
    otherwise for somebody who reads one there (runc)."""

    name: str
    command: tuple[str, ...]
    state: Path
    reads_start: bool = False

    @property
    def root(self) -> str:
        return f"--root={self.state}"


@dataclass(frozen=True, slots=True)
class Programs:
    """conmon, and the makers that are here: the first makes new containers."""

    conmon: str
    makers: tuple[Maker, ...]

    @classmethod
    def find(cls, run: Path, handlers: Path, only: str = "") -> Programs:
        """Those of this machine, or that one alone, and programs that are brought along in a directory,
        each a handler by its name; run is where their states are. Raises StartFailed naming what is
        missing."""
        makers = tuple(maker for maker in _makers(run) if only in ("", maker.name))
        known = [maker.name for maker in makers]
        makers += tuple(one for one in _brought(run, handlers) if makers and one.name not in known)
        conmon = _which("conmon")
        if not conmon or not makers:
            lacking = f"conmon and {only or 'runc'}" if not conmon and not makers else "conmon"
            lacking = lacking if not conmon else only or "runc"
            raise StartFailed(f"{lacking} is not installed (Debian: apt install conmon runc)")
        return cls(conmon, makers)

    @property
    def maker(self) -> Maker:
        return self.makers[0]

    def serving(self, handler: str) -> Programs:
        """With the maker of that name as the first; the default one has no name. Raises RuntimeFailure
        as containerd does."""
        if not handler:
            return self
        for maker in self.makers:
            if maker.name == handler:
                return replace(self, makers=(maker, *(one for one in self.makers if one != maker)))
        raise RuntimeFailure(
            f'failed to get sandbox runtime: no runtime for "{handler}" is configured'
        )

    def of(self, container_id: str) -> Maker:
        """Who made that container, which may have been before the other was installed."""
        for maker in self.makers:
            if (maker.state / container_id).exists():
                return maker
        raise RuntimeFailure(f"nobody here has made container {container_id[:12]}")

    def states(self, container_id: str) -> Sequence[Path]:
        """Where something may be kept of a container."""
        return [maker.state / container_id for maker in self.makers]


def _makers(run: Path) -> list[Maker]:
    found = []
    if words := _crun(run / "programs"):
        found.append(Maker("crun", words, run / "crun", reads_start=True))
    if runc := _which("runc"):
        found.append(Maker("runc", (runc,), run / "runc"))
    return found


def _brought(run: Path, directory: Path) -> Iterator[Maker]:
    """Programs that are called as runc is; a link to crun is called as crun is here."""
    found = sorted(directory.iterdir()) if directory.is_dir() else []
    for path in found:
        if not path.is_file() or not os.access(path, os.X_OK):
            continue
        is_crun = path.resolve().name == "crun"
        words = (*_crun(run / "programs")[:-1], str(path)) if is_crun else (str(path),)
        yield Maker(path.name, words, run / f"handler-{path.name}", reads_start=is_crun)


def _crun(copies: Path) -> tuple[str, ...]:
    """The words by which crun works on this machine; none if it does not. Its sealed copy is in copies."""
    found, unshare, busybox = _which("crun"), _which("unshare"), _which("busybox")
    in_its_way = _is_in_its_way()
    if not found or (in_its_way and not (unshare and busybox)):
        return ()
    crun = sealed(found, copies)
    if not in_its_way:
        return (crun,)
    # busybox starts faster than any other shell, and has mount in it.
    shell = (unshare, "--mount", "--propagation=unchanged", _COVERED, busybox, "sh", "-c")
    return (*shell, _WITHOUT_V2, crun)


def _is_in_its_way() -> bool:
    """Whether version 2 has controllers and is not alone."""
    found = cgroups.hierarchies()
    if cgroups.is_unified() or "unified" not in found:
        return False
    return bool((found["unified"] / "cgroup.controllers").read_text().strip())


def _which(name: str) -> str:
    return shutil.which(name, path=os.environ.get("PATH", "") + _PATHS) or ""
