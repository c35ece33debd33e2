"""Who a TLS client is, by its certificate: CN is the name, each O a group (as Kubernetes reads
them). The certificate was verified in the handshake; here it is only read, once a connection."""

from __future__ import annotations

import ssl
from typing import Any

from longshore.base.users import User

# Every caller that proved who it is (apiserver user.AllAuthenticated).
AUTHENTICATED = "system:authenticated"


def user_of(ssl_object: Any) -> User | None:
    """None for a connection without TLS, or without a verified client certificate."""
    if ssl_object is None:
        return None
    return user_of_subject(ssl_object.getpeercert() or {})


def user_of_subject(certificate: dict[str, Any]) -> User | None:
    """From the form of ssl.SSLSocket.getpeercert(). None if it names nobody."""
    name, groups = "", []
    for relative in certificate.get("subject", ()):
        for attribute, value in relative:
            if attribute == "commonName":
                name = value
            elif attribute == "organizationName":
                groups.append(value)
    return User(name, (*groups, AUTHENTICATED)) if name else None


def server_context(certificate: str, key: str, client_ca: str = "") -> ssl.SSLContext:
    """TLS for a server, from PEM files: 1.2 or newer, HTTP/1.1 only (a pure Python HTTP/2 costs
    eight times as much a request). Client certificates are optional, and checked if given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    # No resumption: a session outlives the check of the certificate that opened it.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
