"""Image references, completed as Docker completes them: nginx is docker.io/library/nginx:latest.

Source of the grammar: the distribution project's reference format, as Docker documents it.
"""

from __future__ import annotations

import re

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_HOST = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME_MAX = 255


def normalise(reference: str) -> str:
    """The full form, host/path:tag or host/path@digest; a digest makes the tag irrelevant.

    Raises ValueError with one sentence if it is not an image reference."""
    rest, at, digest = reference.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError(
            f'image reference "{reference}": the digest is not sha256 and 64 hex digits'
        )
    tag = "latest"
    head, colon, last = rest.rpartition(":")
    if colon and "/" not in last:
        rest, tag = head, last
    host, path = split_host(rest)
    if not (_HOST.fullmatch(host) and _PATH.fullmatch(path) and _TAG.fullmatch(tag)):
        raise ValueError(
            f'image reference "{reference}" is not of the form [host/]name[:tag][@digest]'
        )
    if len(host) + 1 + len(path) > _NAME_MAX:
        raise ValueError(
            f'image reference "{reference[:64]}..." is longer than {_NAME_MAX} characters'
        )
    return f"{host}/{path}@{digest}" if at else f"{host}/{path}:{tag}"


def split_host(name: str) -> tuple[str, str]:
    """Registry host and path of a name. A first part is a host if it has a dot or a port, or is
    localhost; anything else is Docker Hub's, where one-part names live under library/."""
    first, slash, path = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host = "docker.io" if first == "index.docker.io" else first
    else:
        host, path = "docker.io", name
    if host == "docker.io" and "/" not in path:
        path = f"library/{path}"
    return host, path


def repository(normalised: str) -> str:
    """host/path of a full reference, without tag or digest."""
    name = normalised.partition("@")[0]
    head, colon, last = name.rpartition(":")
    return head if colon and "/" not in last else name
