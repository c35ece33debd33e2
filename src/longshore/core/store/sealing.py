"""Values at rest as ciphertext, in the form of upstream's aesgcm provider
(apiserver/pkg/storage/value/encrypt/aes/aes.go): a header that names the key, a random nonce of 96
bits, and AES-GCM of the value, bound to the place where it stands: moved elsewhere it cannot be read.

Random nonces may meet after some 2^32 writes with one key: rotate long before that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from longshore.base.chance import fresh_bytes
from longshore.core.store.protocol import StoreError

MARK = b"k8s:enc:"
"""What every sealed value begins with, and no plain one."""
_NONCE_BYTES = 12


class Unreadable(StoreError):
    """A value is sealed in a way that the keys at hand do not open."""


class Cipher(Protocol):
    """One way in which values are kept."""

    header: bytes

    def seal(self, key: str, value: bytes) -> bytes:
        """The value as it is kept under that key of the store."""

    def unseal(self, key: str, kept: bytes) -> bytes:
        """The value again. Raises Unreadable if it is not what was sealed for that key."""


class Identity:
    """Values as they are."""

    header = b""

    def seal(self, key: str, value: bytes) -> bytes:
        return value

    def unseal(self, key: str, kept: bytes) -> bytes:
        return kept


class AesGcm:
    """A named key of 16, 24 or 32 bytes. Raises ValueError for others."""

    def __init__(self, name: str, secret: bytes) -> None:
        self.header = MARK + b"aesgcm:v1:%b:" % name.encode()
        self._cipher = AESGCM(secret)

    def seal(self, key: str, value: bytes) -> bytes:
        nonce = fresh_bytes(_NONCE_BYTES)
        return b"".join((self.header, nonce, self._cipher.encrypt(nonce, value, key.encode())))

    def unseal(self, key: str, kept: bytes) -> bytes:
        start = len(self.header)
        nonce, sealed = kept[start : start + _NONCE_BYTES], kept[start + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, sealed, key.encode())
        except (InvalidTag, ValueError):
            raise Unreadable(
                f"{key} cannot be read: it was tampered with, comes from another place, or its key "
                "has another secret now; restore it from a backup, or its key as it was"
            ) from None


_PLAIN: tuple[Cipher, ...] = (Identity(),)


class Sealing:
    """Which ciphers the keys below a prefix ("/core/secrets/") have: the first writes, all read.
    What is below no prefix is kept as it is."""

    def __init__(self, rules: Mapping[str, Sequence[Cipher]]) -> None:
        self._rules = {prefix: tuple(ciphers) for prefix, ciphers in rules.items()}
        self.prefixes = tuple(self._rules)

    def ciphers(self, key: str) -> tuple[Cipher, ...]:
        for prefix in self.prefixes:
            if key.startswith(prefix):
                return self._rules[prefix]
        return _PLAIN

    def reader(self, key: str, header: bytes) -> Cipher:
        """The cipher that reads what begins with that header. Raises Unreadable."""
        for cipher in self.ciphers(key):
            if cipher.header == header:
                return cipher
        raise Unreadable(f"{key} cannot be read: {_lacking(header)}")


def header_of(kept: bytes) -> bytes:
    """What names the key of a sealed value: all to the fifth colon; empty if it is not sealed."""
    if not kept.startswith(MARK):
        return b""
    return b":".join(kept.split(b":", 5)[:5]) + b":"


def _lacking(header: bytes) -> str:
    if not header:
        return (
            "it is not encrypted, and no provider of its resource says identity; "
            "add identity: {} as the last one"
        )
    _, _, provider, _, name, _ = header.decode(errors="replace").split(":")
    return (
        f"it is encrypted by {provider} with the key {name!r}, which no provider of its resource "
        "has; put that key back"
    )
