"""When a certificate ends, read from its bytes: what those say who make certificates."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.pki.lifetimes import Lifetime, lifetime_of

KEY = ec.generate_private_key(ec.SECP256R1())
BEGINS, ENDS = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)


def certificate(begins: datetime, ends: datetime, words: str = "node") -> bytes:
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, words)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .sign(KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


# Both forms of a time: the second is that of 2050 and later.
@pytest.mark.parametrize("ends", [ENDS, datetime(2049, 12, 31, tzinfo=UTC), datetime(2150, 6, 7, 8, tzinfo=UTC)])  # fmt: skip
@pytest.mark.parametrize("words", ["n", "n" * 64])
def test_it_is_valid_from_when_to_when_it_says(ends: datetime, words: str) -> None:
    pem = certificate(BEGINS, ends, words)
    assert lifetime_of(pem) == Lifetime(BEGINS.timestamp(), ends.timestamp())


def test_two_digits_of_a_year_may_be_of_the_century_before() -> None:
    early = datetime(1950, 1, 1, tzinfo=UTC)
    assert lifetime_of(certificate(early, ENDS)).begins == early.timestamp()


def test_the_first_of_a_chain_counts_whatever_stands_before_it() -> None:
    later = certificate(ENDS, datetime(2030, 1, 1, tzinfo=UTC))
    pem = b"subject=CN = node\n" + certificate(BEGINS, ENDS) + later
    assert lifetime_of(pem).ends == ENDS.timestamp()


def test_a_certificate_of_the_first_version_has_none() -> None:
    """X.509 of 1988 does not say its version: the fields are one place further ahead."""
    newer = x509.load_pem_x509_certificate(certificate(BEGINS, ENDS)).tbs_certificate_bytes
    version = b"\xa0\x03\x02\x01\x02"
    _, _, said = newer.partition(version)
    whole = b"\x30\x82%s\x30\x82%s" % ((len(said) + 4).to_bytes(2), len(said).to_bytes(2)) + said
    pem = b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----" % base64.encodebytes(whole)
    assert lifetime_of(pem) == Lifetime(BEGINS.timestamp(), ENDS.timestamp())


def test_what_is_no_certificate_is_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="no certificate in PEM form"):
        lifetime_of(pem)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_whatever_is_in_it_it_is_read_or_refused(noise: bytes, cut: int) -> None:
    whole = base64.b64decode(b"".join(certificate(BEGINS, ENDS).splitlines()[1:-1]))
    der = whole[:cut] + noise
    pem = b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----" % base64.encodebytes(der)
    with suppress(ValueError):
        assert isinstance(lifetime_of(pem), Lifetime)
