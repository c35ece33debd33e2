"""TLS for servers and clients of the cluster. Contexts are renewed in place: connections that are
open keep what they began with, new ones show the new certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

from longshore.core.pki.pairs import Pair


def server_context(pair: Pair, authority: Path) -> ssl.SSLContext:
    """TLS for a server that lets clients show a certificate, but does not demand one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    reload(context, pair, authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    # No session is resumed: it would outlive the check of the certificate it began with. Clients
    # that keep their connections lose nothing, and every handshake is a message shorter. (TLS 1.2
    # has no such switch here; OpenSSL forgets its sessions after five minutes.)
    context.num_tickets = 0
    return context


def client_context(pair: Pair, authority: Path) -> ssl.SSLContext:
    """TLS for a client that shows a certificate and checks the server's against the authority."""
    context = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def reload(context: ssl.SSLContext, pair: Pair, authority: Path) -> None:
    """Show the pair as its files are now, and trust what the authority's file has now."""
    context.load_cert_chain(pair.certificate, pair.key)
    context.load_verify_locations(authority)
