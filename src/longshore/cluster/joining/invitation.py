"""What a machine is handed to join a cluster: a bootstrap kubeconfig (kubelet's --bootstrap-kubeconfig)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

import yaml

from longshore.cluster.config import ClusterError


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a bootstrap kubeconfig says: where servers are, the one to ask first in front, whom they
    are vouched for by, and the token."""

    servers: tuple[str, ...]
    authority: bytes
    token: str


def read(file: Path) -> Invitation:
    """Raises ClusterError, saying what is missing."""
    try:
        doc = yaml.safe_load(file.read_text())
        clusters, users = (
            {one["name"]: one[part] for one in doc[f"{part}s"]} for part in ("cluster", "user")
        )
        contexts = {one["name"]: one["context"] for one in doc["contexts"]}
        context = contexts[doc["current-context"]]
        cluster, user = clusters[context["cluster"]], users[context["user"]]
        authority = base64.b64decode(cluster["certificate-authority-data"])
        trusted = cluster["certificate-authority-data"]
        others = [
            one["server"]
            for one in clusters.values()
            if one is not cluster and one.get("certificate-authority-data") == trusted
        ]
        return Invitation((cluster["server"], *others), authority, user["token"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(f"--join {file}: {error}") from None
    except (KeyError, TypeError, binascii.Error) as error:
        raise ClusterError(
            f"--join {file} is no bootstrap kubeconfig ({error!r} is missing or wrong): "
            "longshore token create --file makes one"
        ) from None
