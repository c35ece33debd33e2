"""Bootstrap tokens as people use them: made, listed and withdrawn with the administrator's rights.

A token is handed over as a bootstrap kubeconfig (kubelet's --bootstrap-kubeconfig): server,
authority and token in one file, so that no secret is ever on a command line.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock, rfc3339
from longshore.cluster.client.administrator import with_admin
from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths, default_root
from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Delete
from longshore.core.registry.identity import bootstrap_tokens as tokens

_USER = "tls-bootstrap-token-user"


def create(
    name: str, root: Path | None, ttl_s: float, description: str, servers: Sequence[str] = ()
) -> dict[str, Any]:
    """A new token that is good for so many seconds, as a bootstrap kubeconfig. servers are URLs at
    which the machine finds servers, if the cluster's own one is not what it can reach. Raises
    ClusterError."""
    _check_servers(servers)
    if not 60 <= ttl_s <= 365 * 86_400:
        raise ClusterError(
            "--ttl: use 1m to 365d; a token that lasts is a password that lies about"
        )
    chance = Chance()
    token = f"{chance.secret(6)}.{chance.secret(16)}"
    secret = tokens.secret_of(token, description, SystemClock().now() + ttl_s)
    config, paths = _cluster(name, root)
    with_admin(config, paths, lambda client: client.write(Create(kinds.SECRET, secret)))
    own = [f"https://{_host(address)}:{config.port}" for address in config.addresses]
    known = servers or own or [config.server]
    return _bootstrap_kubeconfig(config.context, known, paths.pki / "ca.crt", token)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _check_servers(servers: Sequence[str]) -> None:
    for server in servers:
        url = urlsplit(server)
        if url.scheme != "https" or not url.hostname or url.path.strip("/"):
            raise ClusterError(f"--server {server!r}: want https://HOST:PORT")


def listed(name: str, root: Path | None) -> list[dict[str, str]]:
    """id, description and expires (RFC 3339, empty: never) of each token; never the secret."""
    config, paths = _cluster(name, root)
    listing = with_admin(
        config, paths,
        lambda client: client.list(kinds.SECRET, tokens.NAMESPACE, fields=f"type={tokens.TYPE}"),
    )  # fmt: skip
    return [_shown(doc) for doc in listing.items]


def delete(name: str, root: Path | None, token_id: str) -> None:
    """Withdraw a token by its id, the part before the dot. Raises ClusterError."""
    config, paths = _cluster(name, root)
    secret = tokens.PREFIX + token_id.partition(".")[0]
    operation = Delete(kinds.SECRET, tokens.NAMESPACE, secret)
    try:
        with_admin(config, paths, lambda client: client.write(operation))
    except NotFound:
        raise ClusterError(
            f"no token has the id {token_id.partition('.')[0]!r}: longshore token list shows them"
        ) from None


def _shown(doc: Doc) -> dict[str, str]:
    ends = tokens.expires_at(doc)
    return {
        "id": tokens.said(doc, "token-id"),
        "description": tokens.said(doc, "description"),
        "expires": rfc3339(ends) if ends < float("inf") else "",
    }


def _cluster(name: str, root: Path | None) -> tuple[ClusterConfig, ClusterPaths]:
    paths = ClusterPaths(root or default_root(), name)
    return paths.load(), paths


def _bootstrap_kubeconfig(
    name: str, servers: Sequence[str], authority: Path, token: str
) -> dict[str, Any]:
    """A kubeconfig knows one server for a context. The others are clusters that no context names:
    what reads it here takes all that the same authority vouches for, other programs the first."""
    trusted = base64.b64encode(authority.read_bytes()).decode()
    clusters = [
        {
            "name": f"{name}-{number}" if number else name,
            "cluster": {"server": server, "certificate-authority-data": trusted},
        }
        for number, server in enumerate(servers)
    ]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": clusters,
        "users": [{"name": _USER, "user": {"token": token}}],
        "contexts": [{"name": "bootstrap", "context": {"cluster": name, "user": _USER}}],
        "current-context": "bootstrap",
    }
