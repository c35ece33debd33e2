"""What of accounts is written down, and where they begin again. Reads the cache, writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.usage import records
from longshore.core.objects.usage.rings import CHUNKS_KEPT_S, History, chunk_start
from longshore.core.objects.usage.series import Series
from longshore.core.registry.client import Create, Delete, Operation, Patch
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.usage.accounts import Account

PROJECTS_MAX = 4096
"""So many projects have a history, those included that are gone."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What is being written of an account, which goes on meanwhile."""

    account: Account
    operations: list[Operation]
    over: list[Series]
    changed: bool

    def take_back(self) -> None:
        """It was not written: another draft is to have it."""
        self.account.over[:0] = self.over
        self.account.changed |= self.changed


class Keeper:
    """Knows which projects have records."""

    def __init__(self, cache: Cache, projects_max: int = PROJECTS_MAX) -> None:
        self._cache = cache
        self._most = projects_max
        held = cache.shelf(kinds.USAGE_RECORD).held()
        self._known = dict.fromkeys(records.project_of(one.name) for one in held)
        self._forgotten: set[str] = set()
        self.left_out: set[str] = set()
        """Projects that are not accounted, since there is no room."""

    def __len__(self) -> int:
        return len(self._known)

    def open(self, project: str, now_ms: int, live: Iterable[str]) -> Account | None:
        """The account of a project, going on where its records end. Where there are too many, the
        one that is gone for longest is forgotten; None if all of them live."""
        if project not in self._known and len(self._known) >= self._most:
            gone = self._oldest_gone(live)
            if gone is None:
                self.left_out.add(project)
                return None
            self.forget(gone)
        self.left_out.discard(project)
        self._forgotten.discard(project)
        self._known[project] = None
        history = self.history(project)
        now = now_ms / 1000
        account = Account(project, max(now_ms, history.folded.end * 1000))
        account.over = history.unfolded(now)
        begun = [one for one in history.chunks if len(one) and one.start >= chunk_start(now)]
        if begun:
            account.minutes = max(begun, key=lambda one: one.start)
            last = account.minutes.end - account.minutes.step
            account.moment_ms = max(account.moment_ms, last * 1000)
        return account

    def history(self, project: str) -> History:
        return records.history(self._docs(project))

    def draft(self, account: Account, now_ms: int) -> Draft:
        """What of an account is not written yet. A chunk that is over is written before it is folded:
        whatever is interrupted, its minutes count once."""
        account.roll(now_ms)
        parts = [*account.over, account.minutes] if account.changed else account.over
        docs = [records.of_minutes(account.project, one) for one in parts if len(one)]
        if account.over:
            folded = self.history(account.project).folded
            for chunk in account.over:
                folded.take(chunk)
            docs.append(records.of_folded(account.project, folded))
        draft = Draft(account, [self._write(doc) for doc in docs], account.over, account.changed)
        account.over, account.changed = [], False
        return draft

    def ended(self, now: float, live: Iterable[str]) -> Iterator[str]:
        """Projects that are gone for so long that nothing of them is kept."""
        for project in self._known.keys() - set(live):
            history = self.history(project)
            ends = [history.folded.end, *(one.end for one in history.chunks)]
            if max(ends) < now - CHUNKS_KEPT_S:
                yield project

    def forget(self, project: str) -> None:
        """Have all records of a project deleted."""
        del self._known[project]
        self._forgotten.add(project)

    def deletions(self) -> list[Operation]:
        """What is to be deleted of projects that are forgotten. Records that are gone are forgotten
        no longer."""
        found: list[Operation] = []
        for project in list(self._forgotten):
            docs = self._docs(project)
            found += [Delete(kinds.USAGE_RECORD, "", doc["metadata"]["name"]) for doc in docs]
            if not docs:
                self._forgotten.discard(project)
        return found

    def _oldest_gone(self, live: Iterable[str]) -> str | None:
        """Of the projects without pods and claims, the one whose records were written longest ago."""
        newest: dict[str, int] = {}
        for one in self._cache.shelf(kinds.USAGE_RECORD).held():
            project = records.project_of(one.name)
            newest[project] = max(newest.get(project, 0), one.revision)
        gone = self._known.keys() - set(live)
        return min(gone, key=lambda one: newest.get(one, 0), default=None)

    def _docs(self, project: str) -> list[Doc]:
        found = (self._cache.get(kinds.USAGE_RECORD, "", one) for one in records.names(project))
        return [doc for doc in found if doc is not None]

    def _write(self, doc: Doc) -> Operation:
        name = doc["metadata"]["name"]
        if self._cache.get(kinds.USAGE_RECORD, "", name) is None:
            return Create(kinds.USAGE_RECORD, doc)
        return Patch(kinds.USAGE_RECORD, "", name, {"spec": doc["spec"]})
