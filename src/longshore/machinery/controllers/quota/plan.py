"""The status of a quota, from its book. Pure."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.quota.tally import Tally


def status_of(book: Tally) -> Doc:
    """hard is what is in force; used has an entry for each of it."""
    return {
        "hard": {name: amount.text for name, amount in book.hard.items()},
        "used": {name: book.used[name].text for name in book.hard},
    }
