"""What has changed lately: where watches resume, and how lists look back.

Five minutes are kept of every kind, as etcd keeps them for a Kubernetes API server
(--etcd-compaction-interval), and the last changes of a quiet kind for as long as it is quiet, as
upstream's watch cache does (apiserver/pkg/storage/cacher/watch_cache_history.go; its ring holds 75 s
and at most 102,400 changes of a kind). Only where changes come faster than memory allows is it
less: then the kind that takes most gives first. Nothing is skipped silently: whoever asks for more is told so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import takewhile

from longshore.base.limits import (
    WATCH_HISTORY_MAX_BYTES,
    WATCH_HISTORY_MIN,
    WATCH_HISTORY_S,
)
from longshore.core.watch.frames import Frame

# What a change costs besides the bytes of a state that nobody else holds any more: a Frame, a
# Stored, a key, a revision (measured).
_FRAME_BYTES = 400
# How exact the age of changes is: they are marked this often, or after so many.
_MARK_S = 1.0
_MARK_CHANGES = 4_096


class History:
    """The last changes of one kind, oldest first: all after the revision start are here. size is
    what they cost in bytes, roughly."""

    __slots__ = ("_frames", "size", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.size = 0
        self._frames: deque[Frame] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def newest(self) -> int:
        """The revision of the kind's last change that is known of."""
        return self._frames[-1].stored.revision if self._frames else self.start

    def add(self, frame: Frame) -> None:
        self._frames.append(frame)
        self.size += _cost(frame)

    def back_to(self, revision: int) -> Iterator[Frame]:
        """The changes after a revision (start or later), newest first."""
        return takewhile(lambda f: f.stored.revision > revision, reversed(self._frames))

    def since(self, revision: int) -> list[Frame]:
        """The changes after a revision (start or later), oldest first."""
        found = list(self.back_to(revision))
        found.reverse()
        return found

    def restart(self, revision: int) -> None:
        """Know of nothing before that revision."""
        self.start, self.size = revision, 0
        self._frames.clear()

    def forget(self, revision: int, keep: int = 0) -> None:
        """Let go of the changes up to a revision, but for the last ones, so many."""
        frames = self._frames
        while len(frames) > keep and frames[0].stored.revision <= revision:
            self._drop()

    def shed(self) -> None:
        """Let go of the oldest eighth."""
        for _ in range(len(self._frames) // 8 + 1):
            self._drop()

    def _drop(self) -> None:
        frame = self._frames.popleft()
        self.size -= _cost(frame)
        self.start = frame.stored.revision


def _cost(frame: Frame) -> int:
    """A new state is held by the cache too; what it replaced, and a deleted one, by nobody else."""
    size = _FRAME_BYTES
    if frame.before is not None:
        size += frame.before.size
    if frame.type == "DELETED":
        size += frame.stored.size
    return size


class Window:
    """How far back the histories of all kinds reach, together.

    compacted is the revision that was the newest when the window begins: lists as of an earlier one
    have expired, however much of their kind's history is left.
    """

    def __init__(
        self, histories: Sequence[History], max_bytes: int = WATCH_HISTORY_MAX_BYTES
    ) -> None:
        self.compacted = 0
        self._histories = histories
        self._max_bytes = max_bytes
        # When a revision was the newest. One a second or a batch of changes, so some hundreds.
        self._marks: deque[tuple[float, int]] = deque()

    def pass_time(self, now: float, revision: int) -> None:
        """Say what the newest revision is at a moment, in seconds of a clock that never goes back.
        Cheap: to be called after every batch of changes."""
        marks = self._marks
        if len(marks) > 1:
            then, seen = marks[-2]
            if now - then < _MARK_S and revision - seen < _MARK_CHANGES:
                marks[-1] = (now, revision)
                return
        marks.append((now, revision))
        self._move(now - WATCH_HISTORY_S)

    def restart(self, revision: int) -> None:
        """Know of nothing before that revision, of any kind."""
        self.compacted = revision
        self._marks.clear()
        for history in self._histories:
            history.restart(revision)

    def _move(self, begin: float) -> None:
        marks = self._marks
        while marks and marks[0][0] <= begin:
            self.compacted = marks.popleft()[1]
        for history in self._histories:
            history.forget(self.compacted, WATCH_HISTORY_MIN)
        while sum(history.size for history in self._histories) > self._max_bytes:
            max(self._histories, key=_size).shed()


def _size(history: History) -> int:
    return history.size
