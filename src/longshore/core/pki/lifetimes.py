"""From when to when a certificate is valid, read from the file itself.

What makes certificates is 9 MB of memory, and of those who use them most only want to know when they end.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
# Tags of ASN.1 (X.690): a version that is not the first, and the two forms of a time.
_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18
# Of what a certificate says after its version (RFC 5280, 4.1).
_VALIDITY = 3


@dataclass(frozen=True, slots=True)
class Lifetime:
    """From when to when a certificate is valid, in seconds since the epoch."""

    begins: float
    ends: float

    def renewal(self, share: float) -> float:
        """The moment at which that share of it is over (client-go util/certificate renews between
        0.7 and 0.9, so that not everybody does so at once)."""
        return self.begins + share * (self.ends - self.begins)


def lifetime_of(pem: bytes) -> Lifetime:
    """Of the first certificate in a text. Raises ValueError where there is none."""
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("there is no certificate in PEM form")
    try:
        begins, ends = _validity(base64.b64decode(found[1]))
    except (IndexError, StopIteration) as error:
        raise ValueError("it is cut off, or not DER") from error
    return Lifetime(_time(*begins), _time(*ends))


def _validity(der: bytes) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """The two times, each with its tag."""
    _, certificate = next(_elements(der))
    _, said = next(_elements(certificate))
    parts = [content for tag, content in _elements(said) if tag != _VERSION]
    begins, ends = _elements(parts[_VALIDITY])
    return begins, ends


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each (X.690, 8.1)."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size]), at + size
        if at + length > len(der):
            raise IndexError
        yield tag, der[at : at + length]
        at += length


def _time(tag: int, content: bytes) -> float:
    """Raises ValueError."""
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year, 1950 to 2049 (RFC 5280, 4.1.2.5.1)
        text = ("19" if text >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError(f"a time with tag {tag}")
    if len(text) != len("YYYYMMDDhhmmssZ") or text[-1] != "Z":
        raise ValueError(f"a time that reads {text!r}")
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
    return datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC).timestamp()
