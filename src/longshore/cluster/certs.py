"""What a cluster's certificates are, and when each ends: from its files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from longshore.base.clock import Clock, rfc3339
from longshore.cluster.config import ClusterPaths, default_root
from longshore.cluster.renewal import SERVER_PAIRS, SHARE
from longshore.core.pki.authority import certificate_of
from longshore.core.pki.pairs import Pair

_DAY_S = 86_400


def certificates(name: str, root: Path | None, clock: Clock) -> list[dict[str, Any]]:
    """One dictionary a certificate, the one that ends first foremost: name, subject, groups, ends
    (RFC 3339), days_left, renews (when and by whom)."""
    paths = ClusterPaths(root or default_root(), name)
    paths.load()
    found = [Pair.named(paths.pki, file.stem) for file in paths.pki.glob("*.crt")]
    shown = [_shown(pair, clock.now()) for pair in found]
    return sorted(shown, key=lambda one: (one["ends"], one["name"]))


def _shown(pair: Pair, now: float) -> dict[str, Any]:
    certificate = certificate_of(pair)
    life, name = pair.lifetime, pair.certificate.stem
    by_server = name == "ca" or name in SERVER_PAIRS
    return {
        "name": name,
        "subject": ",".join(_said(certificate, NameOID.COMMON_NAME)),
        "groups": ",".join(groups_of(certificate)),
        "ends": rfc3339(life.ends),
        "days_left": int((life.ends - now) // _DAY_S),
        "renews": f"by the server from {rfc3339(life.renewal(SHARE))}"
        if by_server
        else f"by the node from {rfc3339(life.renewal(0.7))} on",
    }


def groups_of(certificate: x509.Certificate) -> list[str]:
    """The groups that its bearer belongs to."""
    return _said(certificate, NameOID.ORGANIZATION_NAME)


def _said(certificate: x509.Certificate, part: x509.ObjectIdentifier) -> list[str]:
    return [str(one.value) for one in certificate.subject.get_attributes_for_oid(part)]
