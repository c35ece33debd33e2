"""What a server agrees to in a TLS handshake."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_S = 5.0
# OpenSSL on this side would not offer it: nothing is learnt of the server.
_OWN_REASONS = frozenset({"NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE", "NO_CIPHER_MATCH"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is. make gives an unconnected socket in the network where the address is;
    authority is the file by whose certificates it is judged."""

    host: str
    port: int
    authority: Path
    make: Callable[[], socket.socket] = socket.socket

    def connected(self) -> socket.socket:
        """Raises OSError."""
        sock = self.make()
        try:
            sock.settimeout(_PATIENCE_S)
            sock.connect((self.host, self.port))
        except OSError:
            sock.close()
            raise
        return sock


def listens(place: Place) -> bool:
    try:
        place.connected().close()
    except OSError:
        return False
    return True


def verified(place: Place) -> tuple[bool, str]:
    """Whether the authority vouches for its certificate, and what they agreed to."""
    try:
        return True, _agreed(place, ssl.create_default_context(cafile=str(place.authority)))
    except OSError:
        return False, ""


def old_protocol(place: Place) -> str | None:
    """The protocol before TLS 1.2 that it agrees to: "" none, None if this side has none either."""

    def offer(context: ssl.SSLContext) -> None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    return _agreed_to(place, offer)


def weak_cipher(place: Place) -> str | None:
    """The cipher of TLS 1.2 without forward secrecy that it agrees to: as old_protocol."""

    def offer(context: ssl.SSLContext) -> None:
        context.set_ciphers("ALL:COMPLEMENTOFALL:!kECDHE:!kDHE:@SECLEVEL=0")
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    return _agreed_to(place, offer)


def _agreed_to(place: Place, offer: Callable[[ssl.SSLContext], None]) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with warnings.catch_warnings():
            # Python warns of old protocols, and they are what is asked about.
            warnings.simplefilter("ignore", DeprecationWarning)
            offer(context)
        return _agreed(place, context)
    except ssl.SSLError as error:
        return None if error.reason in _OWN_REASONS else ""
    except OSError:
        return ""


def _agreed(place: Place, context: ssl.SSLContext) -> str:
    with context.wrap_socket(place.connected(), server_hostname=place.host) as sock:
        cipher = sock.cipher()
        return f"{sock.version()} {cipher[0] if cipher else ''}"
