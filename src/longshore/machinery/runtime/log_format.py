"""One line of a log file (the CRI log format, kubernetes/design-proposals-archive node/kubelet-cri-logging):

    2026-11-21T08:16:16.931974210+00:00 stdout F host0

F ends a line of the program's; P is a piece of one that was too long or came without its end.
"""

from __future__ import annotations

from typing import NamedTuple

_STREAMS = (b"stdout", b"stderr")


class Entry(NamedTuple):
    """One line of the file. text has the newline if the program wrote one."""

    timestamp: bytes
    stream: bytes
    partial: bool
    text: bytes


def parse(line: bytes) -> Entry | None:
    """One whole line of the file, without its newline; None if it is not of the format."""
    fields = line.split(b" ", 3)
    if len(fields) < 4 or fields[1] not in _STREAMS:
        return None
    timestamp, stream, tags, text = fields
    partial = _is_partial(tags)
    return Entry(timestamp, stream, partial, text if partial else text + b"\n")


def text_of(line: bytes) -> bytes:
    """The text alone, in half the time; nothing if the line is not of the format."""
    fields = line.split(b" ", 3)
    if len(fields) < 4 or fields[1] not in _STREAMS:
        return b""
    return fields[3] if fields[2] != b"F" and _is_partial(fields[2]) else fields[3] + b"\n"


def _is_partial(tags: bytes) -> bool:
    return tags.split(b":")[0] == b"P"
