"""Compact JSON Web Signatures (RFC 7515) with ES256 (RFC 7518, 3.4), as service account tokens use
them: one key signs, and only what it or an older one of ours signed is believed."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import orjson

from longshore.core.objects.kinds import Doc

_HALF = 32  # octets of each half of a P-256 signature or point


class Signer:
    """Signs with a P-256 key in PEM form, and verifies what it signed."""

    def __init__(self, pem: bytes) -> None:
        self._pem = pem

    @cached_property
    def _key(self) -> Any:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        return load_pem_private_key(self._pem, None)

    @cached_property
    def key_id(self) -> str:
        """The digest of the public key, as upstream names keys (pkg/serviceaccount/jwt.go)."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return _text(hashlib.sha256(der).digest())

    @cached_property
    def public(self) -> Doc:
        """The public key as a JSON Web Key (RFC 7517)."""
        point = self._key.public_key().public_numbers()
        return {
            "use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256",
            "x": _text(point.x.to_bytes(_HALF, "big")), "y": _text(point.y.to_bytes(_HALF, "big")),
        }  # fmt: skip

    def sign(self, claims: Doc) -> str:
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        header = orjson.dumps({"alg": "ES256", "kid": self.key_id})
        said = f"{_text(header)}.{_text(orjson.dumps(claims))}"
        r, s = decode_dss_signature(self._key.sign(said.encode(), _ecdsa()))
        return f"{said}.{_text(r.to_bytes(_HALF, 'big') + s.to_bytes(_HALF, 'big'))}"

    def verify(self, token: str) -> Doc | None:
        """The claims of a token that this key signed; None for everything else."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        try:
            said, _, signature = token.rpartition(".")
            header, _, claims = said.partition(".")
            if orjson.loads(_octets(header)) != {"alg": "ES256", "kid": self.key_id}:
                return None
            both = _octets(signature)
            if len(both) != 2 * _HALF:
                return None
            halves = (int.from_bytes(half, "big") for half in (both[:_HALF], both[_HALF:]))
            der = encode_dss_signature(*halves)
            self._key.public_key().verify(der, said.encode(), _ecdsa())
            believed: Doc = orjson.loads(_octets(claims))
        except (ValueError, InvalidSignature):
            return None
        return believed


class Keyring:
    """Signs with the newest of several keys, and believes what any of them signed."""

    def __init__(self, pems: Sequence[bytes]) -> None:
        """The newest first."""
        self._signers = [Signer(pem) for pem in pems]

    def sign(self, claims: Doc) -> str:
        return self._signers[0].sign(claims)

    def verify(self, token: str) -> Doc | None:
        found = (signer.verify(token) for signer in self._signers)
        return next((claims for claims in found if claims is not None), None)

    @property
    def public(self) -> list[Doc]:
        """The public keys as JSON Web Keys, the newest first."""
        return [signer.public for signer in self._signers]


def _ecdsa() -> Any:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    return ECDSA(SHA256())


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _octets(text: str) -> bytes:
    """Raises ValueError for what is not base64url as RFC 7515 writes it: one text alone means the
    same octets."""
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    if _text(octets) != text:
        raise ValueError("not base64url without padding")
    return octets
