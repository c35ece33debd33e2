"""Files that are whole or not there, and nobody else's to read."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def told(error: Exception) -> str:
    """An error for people: one of the system's is `/data: no space left on device`, as Go's programs have
    it, without its number. Libraries with errors of their own (ssl, socket's addresses) number them as they like."""
    if (
        not isinstance(error, OSError)
        or error.errno is None
        or type(error).__module__ != "builtins"
    ):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return where + os.strerror(error.errno).lower()
