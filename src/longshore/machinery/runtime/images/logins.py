"""The file by which skopeo learns of a login (containers-auth.json(5)): one in memory, never on a disk."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from longshore.machinery.runtime.images.reference import repository, split_host
from longshore.machinery.runtime.protocol import Login


def authentication(name: str, login: Login) -> bytes:
    """Its content, for the registry of one full reference."""
    host = split_host(repository(name))[0]
    entry = {"auth": b64encode(f"{login.username}:{login.password}".encode()).decode()}
    if login.identity_token:
        # With a token the user's name only says that it is one.
        entry = {"auth": b64encode(b"<token>:").decode(), "identitytoken": login.identity_token}
    return orjson.dumps({"auths": {host: entry}})


@contextmanager
def held_in_memory(content: bytes) -> Iterator[int]:
    """A descriptor of a file that no directory has; a child reads it as /dev/fd/NUMBER."""
    fd = os.memfd_create("login")
    try:
        os.write(fd, content)
        yield fd
    finally:
        os.close(fd)
