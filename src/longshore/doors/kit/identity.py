"""Who a TLS client is, by its certificate: CN is the name, each O a group (as Kubernetes reads
them). The certificate was verified in the handshake; here it is only read, once a connection."""

from __future__ import annotations

import math
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


def good_until(ssl_object: Any) -> float:
    """When the client's certificate ends, in seconds since the epoch: nobody is known by it then."""
    shown = ssl_object.getpeercert() if ssl_object is not None else None
    return float(ssl.cert_time_to_seconds(shown["notAfter"])) if shown else math.inf


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
