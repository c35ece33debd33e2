"""Spans of time as people write them: 90s, 15m, 24h, 7d."""

from __future__ import annotations

import re

from longshore.cluster.config import ClusterError

_FORM = re.compile(r"(\d{1,9})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str, option: str) -> float:
    """Raises ClusterError, naming the option."""
    parts = _FORM.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ClusterError(
            f"{option} {text!r} is no span of time: write it like 90s, 15m, 24h or 7d"
        )
    return float(sum(int(number) * _UNIT_S[unit] for number, unit in parts))
