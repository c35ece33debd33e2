"""What a program of the container world complained, without the frame of its log."""

from __future__ import annotations


def last_complaint(said: str) -> str:
    """The last line of a program's error output; of time="..." level=... msg="...", the message."""
    lines = [line for line in said.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else ""
    _, marker, message = last.partition('msg="')
    return message.removesuffix('"').replace('\\"', '"') if marker else last
