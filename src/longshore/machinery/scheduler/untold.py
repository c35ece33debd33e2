"""What could not be written of pods that no node takes, and of their groups: it is told later. No I/O.

Of a pod or group the newest counts. What is not so any more by then is not told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias

from longshore.machinery.scheduler.gangs.groups import GroupKey
from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.turns import GroupNews, Refusal, Turn

News: TypeAlias = Refusal | Pending | GroupNews
"""A pod that no node takes; one for which a node is kept no more; a group."""


class Desk(Protocol):
    """What of the scheduler's desk is needed here; see there."""

    def waits(self, uid: str) -> bool: ...
    def kept_for(self, uid: str) -> str: ...


class Untold:
    def __init__(self) -> None:
        self._refused: dict[str, Refusal] = {}
        self._displaced: dict[str, Pending] = {}
        self._groups: dict[GroupKey, GroupNews] = {}

    def __bool__(self) -> bool:
        return bool(self._refused or self._displaced or self._groups)

    def note(self, untold: Iterable[News]) -> None:
        for news in untold:
            if isinstance(news, Refusal):
                self._refused[news.pod.uid] = news
            elif isinstance(news, GroupNews):
                self._groups[news.key] = news
            else:
                self._displaced[news.uid] = news

    def heed(self, turn: Turn) -> None:
        """What a turn tells anew need not be told again, but for the node that is kept."""
        for one in turn.refused:
            before = self._refused.pop(one.pod.uid, None)
            if before is not None and one.nominated is None and before.nominated is not None:
                self._refused[one.pod.uid] = one._replace(nominated=before.nominated)
        for news in turn.groups:
            self._groups.pop(news.key, None)

    def add_to(self, turn: Turn, desk: Desk) -> None:
        """Have it told with a turn."""
        self.heed(turn)
        for uid, one in self._refused.items():
            if desk.waits(uid):
                node = None if one.nominated is None else desk.kept_for(uid)
                turn.refused.append(one._replace(nominated=node, tried=False))
        for uid, pod in self._displaced.items():
            if desk.waits(uid) and not desk.kept_for(uid):
                turn.displaced.append(pod)
        turn.groups.extend(self._groups.values())
        for each in (self._refused, self._displaced, self._groups):
            each.clear()
