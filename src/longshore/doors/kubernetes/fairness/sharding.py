"""Shuffle sharding: which few of a level's queues the requests of a flow may join. Pure.

Two flows seldom have the same hand, so a flow that fills all of its queues leaves nearly every
other flow one that is empty (KEP-1040, "Queue Assignment Proof of Concept").
"""

from __future__ import annotations

import hashlib


def flow_hash(schema: str, distinguisher: str) -> int:
    """64 bits that stand for a flow: its schema's name, and the user or namespace it is told by."""
    digest = hashlib.sha256(f"{schema}\0{distinguisher}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def deal(number: int, deck: int, size: int) -> tuple[int, ...]:
    """size different cards of 0..deck-1, chosen by number alone; 0 < size <= deck. Every hand is
    about equally likely as long as number has more bits than there are hands."""
    hand: list[int] = []
    for left in range(deck, deck - size, -1):
        number, card = divmod(number, left)
        # card counts those that are left: step over those that are dealt.
        for dealt in sorted(hand):
            card += card >= dealt
        hand.append(card)
    return tuple(hand)
