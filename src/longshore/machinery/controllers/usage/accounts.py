"""Accounts of projects: what each of them uses now, integrated over time. Pure.

An account costs something when its project changes, and nothing meanwhile: what was in use between
two changes is added up at the second one, minute by minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from longshore.core.objects import pod_requests
from longshore.core.objects.kinds import Doc
from longshore.core.objects.usage.rings import MINUTE_S, chunk_start
from longshore.core.objects.usage.series import COLUMNS, Series

# What is added up, over milliseconds, is finer than what a bucket holds: cpu in billionths of a core,
# requests of it in thousandths, memory and storage in bytes. These make a unit of the one of the other.
_MS, _MIB = 1000, 1 << 20
_UNITS = (_MS, _MS, 10**6 * _MS, _MIB * _MS, _MS, _MIB * _MS, _MIB * _MS)
_THERE, _PODS, _CPU, _MEMORY, _CPU_REQUESTS, _MEMORY_REQUESTS, _STORAGE = range(len(COLUMNS))
_MINUTE_MS = MINUTE_S * _MS
# Accounts are advanced every few minutes. After more than this the machine slept, or its clock was set:
# nothing is known of the time between.
_GAP_MS = 2 * 3600 * _MS
_ENDED = ("Succeeded", "Failed")


def _nothing() -> list[int]:
    return [0] * len(COLUMNS)


@dataclass(slots=True, eq=False)
class Account:
    """One project. moment_ms is until when it is added up, in milliseconds since the epoch; minutes
    is the chunk that is being written, over are those that ended and are not folded yet; things is
    how many pods and claims there are; changed is set when a minute is entered."""

    project: str
    moment_ms: int
    minutes: Series = field(default_factory=lambda: Series(MINUTE_S))
    over: list[Series] = field(default_factory=list)
    levels: list[int] = field(default_factory=_nothing)
    things: int = 0
    changed: bool = False
    _sums: list[int] = field(default_factory=_nothing)

    def advance(self, now_ms: int) -> None:
        """Add up what was in use until now. A clock that is set back is waited for."""
        if now_ms - self.moment_ms > _GAP_MS:
            self.settle()
            self.moment_ms = now_ms
        while self.moment_ms < now_ms:
            minute = self.moment_ms - self.moment_ms % _MINUTE_MS
            next_minute = minute + _MINUTE_MS
            end = min(now_ms, next_minute) if self.things else now_ms
            if self.things:
                past = end - self.moment_ms
                self._sums = [
                    had + level * past for had, level in zip(self._sums, self.levels, strict=True)
                ]
            if end >= next_minute:
                self._enter(minute // _MS)
            self.moment_ms = end

    def settle(self) -> None:
        """Enter what belongs to the minute that is not over."""
        self._enter(self.moment_ms // _MS)

    def roll(self, now_ms: int) -> None:
        """Lay a chunk aside that is over."""
        start = chunk_start(now_ms / _MS)
        if len(self.minutes) and start > chunk_start(self.minutes.start):
            self.over.append(self.minutes)
            self.minutes = Series(MINUTE_S, start)

    @property
    def at_rest(self) -> bool:
        return not (self.things or self.changed or self.over)

    def change(self, now_ms: int, things: int, *levels: tuple[int, int]) -> None:
        """There is more (or less) of something from now on: columns' places, and how much."""
        self.advance(now_ms)
        self.things += things
        self.levels[_THERE] = 1 if self.things else 0
        for place, more in levels:
            self.levels[place] += more

    def _enter(self, at: int) -> None:
        """What is less than a unit is left for the next minute."""
        if not any(self._sums):
            return
        both = [divmod(had, unit) for had, unit in zip(self._sums, _UNITS, strict=True)]
        row = [whole for whole, _ in both]
        self._sums = [rest for _, rest in both]
        if any(row):
            self.roll(at * _MS)
            self.minutes.add(at, row)
            self.changed = True


@dataclass(slots=True, eq=False)
class _Pod:
    """A placed pod. requests are cpu in thousandths and bytes; used are cpu in billionths and bytes;
    generation is that of the spec that the requests are of."""

    account: Account
    generation: int
    requests: tuple[int, int]
    used: tuple[int, int] = (0, 0)


Open = Callable[[str, int], Account | None]
"""The account of a project at a moment (ms); None if there is no room for another one."""


class Book:
    """All accounts, and what they are of: pods that hold room of a node, and claims that are bound."""

    def __init__(self, open_: Open) -> None:
        self.accounts: dict[str, Account] = {}
        self._open = open_
        self._pods: dict[str, _Pod] = {}
        self._claims: dict[str, tuple[Account, int]] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def put_pod(self, pod: Doc, now_ms: int) -> bool:
        """A pod is there, or changed; whether it holds room of a node."""
        metadata = pod["metadata"]
        if (pod.get("status") or {}).get("phase") in _ENDED or not pod["spec"].get("nodeName"):
            self.drop_pod(metadata["uid"], now_ms)
            return False
        known = self._pods.get(metadata["uid"])
        generation = metadata.get("generation", 0)
        if known is not None and known.generation == generation:
            return True
        asked = pod_requests.requests_of(pod["spec"])
        requests = asked.get("cpu", 0), asked.get("memory", 0)
        if known is not None:
            self._request(known, requests, now_ms)
            known.generation = generation
        elif account := self._account(metadata["namespace"], now_ms):
            self._pods[metadata["uid"]] = _Pod(account, generation, requests)
            account.change(
                now_ms, 1, (_PODS, 1), (_CPU_REQUESTS, requests[0]), (_MEMORY_REQUESTS, requests[1])
            )
        return True

    def drop_pod(self, uid: str, now_ms: int) -> None:
        """It holds no room any more."""
        known = self._pods.pop(uid, None)
        if known is not None:
            (cpu_requests, memory_requests), (cpu, memory) = known.requests, known.used
            known.account.change(
                now_ms, -1, (_PODS, -1), (_CPU, -cpu), (_MEMORY, -memory),
                (_CPU_REQUESTS, -cpu_requests), (_MEMORY_REQUESTS, -memory_requests),
            )  # fmt: skip

    def measure(self, uid: str, cpu_ns: int, memory: int, now_ms: int) -> None:
        """What a pod uses: billionths of a core, and bytes."""
        known = self._pods.get(uid)
        if known is None or known.used == (cpu_ns, memory):
            return
        cpu_before, memory_before = known.used
        known.used = cpu_ns, memory
        known.account.change(
            now_ms, 0, (_CPU, cpu_ns - cpu_before), (_MEMORY, memory - memory_before)
        )

    def put_claim(self, key: str, project: str, size: int, now_ms: int) -> None:
        """A claim has so many bytes; 0: it is not bound, or gone."""
        before = self._claims.get(key)
        if size == (before[1] if before else 0):
            return
        account = before[0] if before else self._account(project, now_ms)
        if account is None:
            return
        more = size - (before[1] if before else 0)
        account.change(now_ms, (size > 0) - (before is not None), (_STORAGE, more))
        if size:
            self._claims[key] = account, size
        else:
            del self._claims[key]

    def pods(self) -> list[str]:
        """The uids of those that are there."""
        return list(self._pods)

    def claims(self) -> list[str]:
        """Their keys."""
        return list(self._claims)

    def let_go(self, account: Account) -> None:
        """Forget an account of which all is written and nothing is there."""
        if account.at_rest:
            del self.accounts[account.project]

    def _request(self, known: _Pod, requests: tuple[int, int], now_ms: int) -> None:
        (cpu, memory), (cpu_before, memory_before) = requests, known.requests
        known.requests = requests
        known.account.change(
            now_ms, 0, (_CPU_REQUESTS, cpu - cpu_before), (_MEMORY_REQUESTS, memory - memory_before)
        )

    def _account(self, project: str, now_ms: int) -> Account | None:
        account = self.accounts.get(project)
        if account is None:
            account = self._open(project, now_ms)
            if account is not None:
                self.accounts[project] = account
        return account
