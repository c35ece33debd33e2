"""Stored objects and their changes, as another version of their kind than the one that is kept."""

from __future__ import annotations

from longshore.core.objects.conversion import from_hub
from longshore.core.objects.kinds import Kind
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored


def as_version(kind: Kind, stored: Stored) -> Stored:
    """The object as the kind that was asked for; itself if that is the stored one."""
    if kind.hub is None or stored.kind is kind:
        return stored
    return Stored.of(kind, stored.key, from_hub(kind, stored.doc), stored.revision)


def frame_as_version(kind: Kind, frame: Frame) -> Frame:
    """The change as watchers of that version see it."""
    before = None if frame.before is None else as_version(kind, frame.before)
    return Frame(frame.type, as_version(kind, frame.stored), before)
