"""Chance as an argument. The only module that may ask the machine for it."""

from __future__ import annotations

import os
import random
import secrets
import string
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

# The alphabet of generated name suffixes: no vowels, no look-alikes (apimachinery/pkg/util/rand).
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SECRET_ALPHABET = string.ascii_lowercase + string.digits


def fresh_bytes(count: int) -> bytes:
    """Bytes that nobody can foresee and that never come again, not even from a seed: keys, nonces."""
    return os.urandom(count)


class Chance:
    """A source of randomness: the machine's own, or replayable from a seed."""

    def __init__(self, seed: int | str | None = None) -> None:
        self._seed = seed
        self._seeded = seed is not None
        self._random = random.Random(seed)

    @classmethod
    def seeded(cls, seed: int | str) -> Chance:
        return cls(seed)

    def apart(self, name: str) -> Chance:
        """A source of its own, from the same seed: what others draw does not change what it gives."""
        return Chance(f"{self._seed} {name}" if self._seeded else None)

    def uuid(self) -> str:
        """A version 4 UUID, as metadata.uid has it."""
        raw = (self._random.randbytes(16) if self._seeded else os.urandom(16)).hex()
        # RFC 9562: the version is the 13th digit, the variant the two high bits of the 17th.
        variant = "89ab"[int(raw[16], 16) & 3]
        return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-{variant}{raw[17:20]}-{raw[20:]}"

    def suffix(self, length: int = 5) -> str:
        """What metadata.generateName is completed with."""
        return "".join(self._random.choices(SUFFIX_ALPHABET, k=length))

    def secret(self, length: int) -> str:
        """Lower-case letters and digits that cannot be guessed (unless the source is seeded)."""
        choose = self._random.choice if self._seeded else secrets.choice
        return "".join(choose(_SECRET_ALPHABET) for _ in range(length))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def below(self, bound: int) -> int:
        """A whole number from 0 up to but not including bound."""
        return self._random.randrange(bound)

    def choice(self, items: Sequence[T]) -> T:
        return self._random.choice(items)

    def shuffled(self, items: Sequence[T]) -> list[T]:
        mixed = list(items)
        self._random.shuffle(mixed)
        return mixed
