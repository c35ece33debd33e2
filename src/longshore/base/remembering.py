"""Answers that are remembered, within bounds of number and of size: what strangers write is as long as
they like, and must not be kept because it was looked at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar("T")

LONGEST = 256
"""Characters of a text of which the answer is remembered: more than names, selectors and the like
usually have."""


def remembered(most: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """For a pure function of one text: its last answers, at most so many, to texts that are short. What
    it raises is not remembered."""

    def decorated(function: Callable[[str], T]) -> Callable[[str], T]:
        known = lru_cache(maxsize=most)(function)

        @wraps(function)
        def answer(text: str) -> T:
            return known(text) if len(text) <= LONGEST else function(text)

        return answer

    return decorated
