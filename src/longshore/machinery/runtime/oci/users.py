"""Who a container runs as: "user", "user:group", "1000", "1000:1000", looked up in the image. Pure.

Rules as Docker has them: a number need not be known to the image, a name must be; an unknown number
has group 0 and home /.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessUser:
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int
    home: str


def find_user(wanted: str, passwd: str, group: str) -> ProcessUser:
    """wanted against the texts of the image's /etc/passwd and /etc/group ("" where it has none).
    Raises ValueError with one sentence for a name the image does not know."""
    user, _, user_group = wanted.partition(":")
    account = _account(user or "0", passwd)
    if account is None:
        if not user.isdecimal() and user:
            raise ValueError(f'the image has no user "{user}" in /etc/passwd')
        account = _Account("", int(user or 0), 0, "/root" if not int(user or 0) else "/")
    if user_group:
        return ProcessUser(account.uid, _group(user_group, group), (), account.home)
    return ProcessUser(account.uid, account.gid, _memberships(account, group), account.home)


def _account(user: str, passwd: str) -> _Account | None:
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) < 6 or not (fields[2].isdecimal() and fields[3].isdecimal()):
            continue
        if user in (fields[0], fields[2]):
            return _Account(fields[0], int(fields[2]), int(fields[3]), fields[5] or "/")
    return None


def _group(wanted: str, group: str) -> int:
    for name, gid, _ in _groups(group):
        if wanted == name:
            return gid
    if wanted.isdecimal():
        return int(wanted)
    raise ValueError(f'the image has no group "{wanted}" in /etc/group')


def _memberships(account: _Account, group: str) -> tuple[int, ...]:
    if not account.name:
        return ()
    return tuple(gid for _, gid, members in _groups(group) if account.name in members)


def _groups(group: str) -> list[tuple[str, int, list[str]]]:
    rows = [line.split(":") for line in group.splitlines()]
    return [
        (row[0], int(row[2]), row[3].split(",") if row[3] else [])
        for row in rows
        if len(row) >= 4 and row[2].isdecimal()
    ]
