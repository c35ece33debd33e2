"""Short names for templates. Pure."""

from __future__ import annotations

import hashlib

import orjson

from longshore.base.chance import SUFFIX_ALPHABET
from longshore.core.objects.kinds import Doc

_LENGTH = 10


def template_hash(template: Doc, collisions: int) -> str:
    """Ten letters that stand for a template. Another number of collisions gives others."""
    data = orjson.dumps([template, collisions], option=orjson.OPT_SORT_KEYS)
    number = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
    letters = ""
    for _ in range(_LENGTH):
        number, at = divmod(number, len(SUFFIX_ALPHABET))
        letters += SUFFIX_ALPHABET[at]
    return letters
