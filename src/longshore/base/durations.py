"""Spans of time as Go writes them (time.Duration's String), and so metav1.Duration in JSON."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """To the thousandth: 9.5s, 1m0s, 2h0m5s."""
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
