"""A program as a sealed copy in memory, which nobody can write to.

crun and runc see to it that a container cannot overwrite them by way of /proc/PID/exe (CVE-2019-5736): each
run makes a protected copy of itself and executes that, unless it is one already, which is a memfd with all four
seals (libcrun, cloned_binary.c). One copy for all runs saves each a second exec with all its linking.
"""

from __future__ import annotations

import fcntl
import os
from functools import cache
from pathlib import Path

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def sealed(program: str, directory: Path) -> str:
    """The path of the copy: a link with the program's name in that directory, good while this process lives.
    The program itself where the machine does not let copies be executed."""
    link = directory / Path(program).name
    try:
        copy = f"/proc/{os.getpid()}/fd/{_copy(program)}"
        if not os.access(copy, os.X_OK):
            return program
        directory.mkdir(mode=0o700, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(copy)
    except OSError:
        return program
    return str(link)


@cache
def _copy(program: str) -> int:
    """Made once; its descriptor."""
    fd = os.memfd_create(Path(program).name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(Path(program).read_bytes())
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd
