"""One line of a log file (the CRI log format, kubernetes/design-proposals-archive node/kubelet-cri-logging):

    2026-11-21T08:16:16.931974210+00:00 stdout F host0

F ends a line of the program's; P is a piece of one that was too long or came without its end.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file. text has the newline if the program wrote one."""

    timestamp: bytes
    stream: bytes
    partial: bool
    text: bytes


def parse(line: bytes) -> Entry | None:
    """One whole line of the file, without its newline; None if it is not of the format."""
    fields = line.split(b" ", 3)
    if len(fields) < 4 or fields[1] not in (b"stdout", b"stderr"):
        return None
    timestamp, stream, tags, text = fields
    partial = tags.split(b":")[0] == b"P"
    return Entry(timestamp, stream, partial, text if partial else text + b"\n")
