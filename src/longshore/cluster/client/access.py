"""Reach a cluster as whoever a kubeconfig says one is, as kubectl does."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from longshore.base.clock import SystemClock
from longshore.cluster import kubeconfig
from longshore.cluster.config import ClusterError
from longshore.core.objects.errors import ApiError, Forbidden, Unavailable
from longshore.doors.kubernetes.client import HttpClient, Introduction
from longshore.doors.kubernetes.yamlbody import read_yaml

T = TypeVar("T")

# Ways to say who one is, or how to get there, that need more than this program.
_CLUSTER_REFUSED = ("insecure-skip-tls-verify", "proxy-url", "tls-server-name")
_USER_REFUSED = ("exec", "auth-provider", "username", "password", "as", "tokenFile")


@dataclass(frozen=True, slots=True)
class Access:
    """A server, as whom one speaks to it, and the namespace that is meant if none is said. tls is
    None for a server without."""

    server: str
    namespace: str
    tls: ssl.SSLContext | None
    token: str = ""


def read(file: Path | None, context: str) -> Access:
    """What a kubeconfig ($KUBECONFIG, else ~/.kube/config) says of a context (empty: its current
    one). Raises ClusterError."""
    path = file or kubeconfig.user_file()
    try:
        content = read_yaml(path.read_bytes())
    except OSError as error:
        raise ClusterError(f"kubeconfig {path}: {error.strerror}") from None
    except ApiError as error:
        raise ClusterError(f"kubeconfig {path}: {error}") from None
    if not isinstance(content, dict):
        raise ClusterError(f"kubeconfig {path}: it is not a kubeconfig")
    try:
        return _access(content, context)
    except (ValueError, ssl.SSLError, OSError, binascii.Error) as error:
        raise ClusterError(f"kubeconfig {path}: {error}") from None


def with_access(access: Access, ask: Callable[[HttpClient], Awaitable[T]]) -> T:
    """What ask returns, given a client. Raises ClusterError with what the server said."""

    async def talk() -> T:
        said = Introduction(token=access.token)
        client = HttpClient([access.server], access.tls, SystemClock(), said=said)
        try:
            return await ask(client)
        finally:
            client.close()

    try:
        return asyncio.run(talk())
    except Forbidden as error:
        raise ClusterError(f"your rights do not reach that far: {error}") from None
    except Unavailable as error:
        raise ClusterError(f"{access.server} does not answer: {error}") from None
    except ApiError as error:
        raise ClusterError(str(error)) from None


def _access(content: Mapping[str, Any], context: str) -> Access:
    name = context or str(content.get("current-context") or "")
    if not name:
        raise ValueError("it has no current context, and no --context is said")
    chosen = _named(content, "context", name)
    cluster = _named(content, "cluster", str(chosen.get("cluster", "")))
    user = _named(content, "user", str(chosen.get("user", "")))
    for part, refused in ((cluster, _CLUSTER_REFUSED), (user, _USER_REFUSED)):
        for field in refused:
            if part.get(field):
                raise ValueError(f"{field} is not supported; a certificate or a token is")
    server = str(cluster.get("server", ""))
    tls = _tls(cluster, user) if server.startswith("https://") else None
    return Access(
        server, str(chosen.get("namespace") or "default"), tls, str(user.get("token", ""))
    )


def _named(content: Mapping[str, Any], part: str, name: str) -> Mapping[str, Any]:
    for one in content.get(f"{part}s") or ():
        if one.get("name") == name:
            found: Mapping[str, Any] = one.get(part) or {}
            return found
    raise ValueError(f'{part} "{name}" does not exist')


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    authority = _pem(cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    if certificate and key:
        _show(context, certificate + b"\n" + key)
    return context


def _show(context: ssl.SSLContext, pair: bytes) -> None:
    """OpenSSL takes a certificate and its key from a file alone: nobody else can read it."""
    descriptor, name = tempfile.mkstemp(".pem", "longshore-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pair)
        context.load_cert_chain(name)
    finally:
        os.unlink(name)


def _pem(part: Mapping[str, Any], field: str) -> bytes:
    """What is within the file, or in a file beside it; empty if it is in neither."""
    if data := part.get(f"{field}-data"):
        return base64.b64decode(str(data), validate=True)
    return Path(str(part[field])).read_bytes() if part.get(field) else b""
