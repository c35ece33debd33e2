"""The pods that one budget covers, counted as they come and go: no change looks at the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import owners, pods


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller that a pod names."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Member:
    """What a budget counts of a pod. healthy: ready, and not on its way out."""

    healthy: bool
    deleting: bool
    owner: Owner | None


def member_of(pod: Doc) -> Member:
    deleting = owners.is_deleting(pod)
    return Member(pods.is_ready(pod) and not deleting, deleting, _owner_of(pod))


def _owner_of(pod: Doc) -> Owner | None:
    ref = owners.controller(pod)
    if ref is None:
        return None
    return Owner(ref["apiVersion"], ref["kind"], ref["name"], ref["uid"])


class Members:
    """Members by the pod's name, with sums that each change brings up to date."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._owners: Counter[Owner | None] = Counter()
        self._healthy = 0

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def get(self, name: str) -> Member | None:
        return self._members.get(name)

    @property
    def healthy(self) -> int:
        return self._healthy

    @property
    def unmanaged(self) -> int:
        """How many have no controller."""
        return self._owners[None]

    def owners(self) -> Mapping[Owner | None, int]:
        """How many pods each controller has here."""
        return self._owners

    def one_of(self, owner: Owner) -> str:
        """The name of some pod of a controller that has one here."""
        return next(name for name, one in self._members.items() if one.owner == owner)

    def put(self, name: str, member: Member | None) -> bool:
        """Note how a pod is now (None: covered no more); whether that changes anything."""
        before = self._members.get(name)
        if before == member:
            return False
        if before is not None:
            del self._members[name]
            self._count(before, -1)
        if member is not None:
            self._members[name] = member
            self._count(member, 1)
        return True

    def _count(self, member: Member, by: int) -> None:
        self._healthy += by * member.healthy
        self._owners[member.owner] += by
        if not self._owners[member.owner]:
            del self._owners[member.owner]
