"""Changes as watchers get them: one shared frame for all, encoded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from longshore.core.objects.kinds import Doc, Kind
from longshore.core.watch.stored import Stored

FrameType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]


class Frame:
    """One change of one object. before is its state until then (None for ADDED)."""

    __slots__ = ("_encoded", "before", "stored", "type")

    def __init__(self, type_: FrameType, stored: Stored, before: Stored | None) -> None:
        self.type: FrameType = type_
        self.stored = stored
        self.before = before
        # Only what is shared is kept encoded: most frames besides are made for one watcher.
        self._encoded: dict[str, bytes] | None = None

    def share(self) -> None:
        """Keep what is encoded: many watchers are going to ask."""
        self._encoded = {}

    def unshare(self) -> None:
        """They have asked. It is encoded again for the few that come late."""
        self._encoded = None

    @property
    def kind(self) -> Kind:
        return self.stored.kind

    @property
    def doc(self) -> Doc:
        """The object after the change; its last state if it was deleted."""
        return self.stored.doc

    @property
    def old(self) -> Doc | None:
        return None if self.before is None else self.before.doc

    def line(self) -> bytes:
        """The event as a line of a JSON watch stream."""
        return self.encoded("json", _json_line)

    def encoded(self, media: str, encoder: Callable[[Frame], bytes]) -> bytes:
        """The event in some media type: made by the first watcher that asks, and kept while the
        frame is shared."""
        if self._encoded is None:
            return encoder(self)
        found = self._encoded.get(media)
        if found is None:
            found = self._encoded[media] = encoder(self)
        return found


def _json_line(frame: Frame) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (frame.type.encode(), frame.stored.raw)
