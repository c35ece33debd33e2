"""The access matrix: every verb of every resource for every kind of caller, asked of the door itself
and compared with what a dozen rules say (rules.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from longshore.base.users import User
from tests.access import callers
from tests.access.asking import TALKS, is_let_in, is_said_to_be_allowed
from tests.access.callers import ANONYMOUS, CONTROLLERS, PEOPLE
from tests.access.rules import (
    DISCOVERY,
    ELSEWHERE,
    EVERYWHERE,
    HEALTH,
    ISSUER,
    PATHS,
    TEAM,
    Cell,
    Rule,
    being_a_node,
    cells,
)
from tests.doors.rig import ADMIN, Kube
from tests.permission.rig import node

pytestmark = pytest.mark.slow

PLACES = (TEAM, ELSEWHERE, EVERYWHERE)


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Kube]:
    async with callers.cluster(tmp_path) as team:
        yield team


def asked_by_people() -> Iterator[Cell]:
    """In the team's namespace all of it; in others what has a namespace."""
    for place in PLACES:
        yield from (cell for cell in cells(place) if place == TEAM or cell.kind.namespaced)
    yield from (cell for cell in cells(TEAM, TEAM) if cell.plural == "namespaces")


def asked_by_nodes() -> Iterator[Cell]:
    for name in ("", "mine", "foreign"):
        yield from cells(TEAM, name)
    yield from (cell for cell in cells(ELSEWHERE, "mine") if cell.kind.namespaced)


async def differing(ask: Kube, who: User, rule: Rule, asked: Iterable[Cell]) -> list[str]:
    """The cells in which the door and the rule differ."""
    known = None if who == ANONYMOUS else who
    found = []
    for cell in asked:
        meant = cell._replace(verb="create") if cell.below in TALKS else cell
        if await is_let_in(ask, known, cell) not in (rule(meant), None):
            found.append(repr(cell))
    return found


async def test_the_matrix_is_large(ask: Kube) -> None:
    """Cells are those that are served at all: a master is refused none."""

    async def served(asked: Iterable[Cell]) -> int:
        return sum([await is_let_in(ask, ADMIN, cell) is not None for cell in asked])

    people, nodes = await served(asked_by_people()), await served(asked_by_nodes())
    count = people * len(PEOPLE) + nodes * 2 + await served(cells()) * len(CONTROLLERS)
    print(f"{count} cells")
    assert count >= 20_000


@pytest.mark.parametrize("caller", PEOPLE)
async def test_people(ask: Kube, caller: str) -> None:
    who, rule = PEOPLE[caller]
    assert await differing(ask, who, rule, asked_by_people()) == []


@pytest.mark.parametrize(("name", "needed"), [("n1", "mine"), ("n2", "")])
async def test_nodes(ask: Kube, name: str, needed: str) -> None:
    assert await differing(ask, node(name), being_a_node(needed), asked_by_nodes()) == []


async def test_controllers(ask: Kube) -> None:
    wrong = {}
    for account, (who, rule) in CONTROLLERS.items():
        wrong[account] = await differing(ask, who, rule, cells())
    assert {account: found for account, found in wrong.items() if found} == {}


@pytest.mark.parametrize("caller", PEOPLE)
async def test_reviews_say_what_happens(ask: Kube, caller: str) -> None:
    who, rule = PEOPLE[caller]
    said = {cell: await is_said_to_be_allowed(ask, who, cell) for cell in cells()}
    assert [repr(cell) for cell, allowed in said.items() if allowed is not rule(cell)] == []


def may_read(caller: str, path: str) -> bool:
    """Health is everybody's, discovery is for those who proved who they are, keys of tokens are for
    service accounts, and how the server does is its keepers' alone."""
    if caller in ("master", "cluster-admin") or path in HEALTH:
        return True
    if caller == "anonymous":
        return False
    return path in DISCOVERY or (caller in CONTROLLERS and path in ISSUER)


async def test_paths(ask: Kube) -> None:
    wrong = []
    everybody = PEOPLE | CONTROLLERS | {"node": (node("n1"), being_a_node(""))}
    for caller, (who, _) in everybody.items():
        for path in PATHS:
            ask.user = None if who == ANONYMOUS else who
            read, written = [(await ask(method, path)).status for method in ("GET", "POST")]
            if (read in (401, 403)) is may_read(caller, path) or written not in (
                401,
                403,
                404,
                405,
            ):
                wrong.append((caller, path, read, written))
    ask.user = ADMIN
    assert wrong == []
