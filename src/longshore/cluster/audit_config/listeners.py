"""On which addresses of its network a process listens (proc(5), /proc/PID/net/tcp)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

_LISTENING = "0A"


def listeners(pid: int) -> list[str] | None:
    """Such as 127.0.0.1:6443, of the network that the process is in; IPv6 in the kernel's own
    digits. None where it cannot be seen."""
    process = Path(f"/proc/{pid}")
    try:
        own = set(_open_files(process / "fd"))
        lines = [
            line.split()
            for table in ("tcp", "tcp6")
            for line in (process / "net" / table).read_text().splitlines()[1:]
        ]
    except OSError:
        return None
    return [
        _address(fields[1])
        for fields in lines
        if fields[3] == _LISTENING and f"socket:[{fields[9]}]" in own
    ]


def _open_files(folder: Path) -> Iterator[str]:
    for link in folder.iterdir():
        # A connection may end while one looks.
        with contextlib.suppress(FileNotFoundError):
            yield link.readlink().name


def _address(text: str) -> str:
    """The kernel prints an IPv4 address as a number in the machine's own order of bytes."""
    digits, _, port = text.partition(":")
    host = digits
    if len(digits) == 8:
        host = str(IPv4Address(int.from_bytes(bytes.fromhex(digits), "little")))
    return f"{host}:{int(port, 16)}"
