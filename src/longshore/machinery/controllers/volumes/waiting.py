"""Claims that found nothing, and volumes that turn up: who is told. Pure.

A new volume wakes one claim that may have it, not all that wait. The claim may then prefer another
volume; so whoever was woken for a volume and did not take it passes it on.
"""

from __future__ import annotations

from longshore.core.objects.volumes import Grade, Volume, Wanted


class WaitingClaims:
    """In the order in which they began to wait."""

    def __init__(self) -> None:
        self._waiting: dict[str, Wanted] = {}
        self._by_grade: dict[Grade, dict[str, Wanted]] = {}
        self._woken_for: dict[str, str] = {}

    def add(self, asked: Wanted) -> None:
        self.drop(asked.key)
        self._waiting[asked.key] = asked
        self._by_grade.setdefault(asked.grade, {})[asked.key] = asked

    def drop(self, key: str) -> None:
        asked = self._waiting.pop(key, None)
        if asked is not None:
            alike = self._by_grade[asked.grade]
            del alike[key]
            if not alike:
                del self._by_grade[asked.grade]

    def next_for(self, volume: Volume) -> str:
        """The claim (namespace/name) that is to look at a free volume, no longer waiting; "" if
        nobody who waits may have it."""
        for key, asked in self._by_grade.get(volume.grade, {}).items():
            if volume.fits(asked):
                self.drop(key)
                return key
        return ""

    def note(self, key: str, volume: str) -> None:
        """Remember which volume a claim is woken for."""
        if volume:
            self._woken_for[key] = volume

    def woken_for(self, key: str) -> str:
        """The volume that a claim was woken for ("" if for none); said once."""
        return self._woken_for.pop(key, "")
