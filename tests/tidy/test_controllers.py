"""docs/checklists/new-controller.md, as far as a machine can see to it: what each folder of controllers has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.core.objects.kinds import KINDS
from longshore.core.objects.rbac import controllers as rbac
from longshore.core.pki.authority import Authority
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.run_all import ControllerConfig, build
from longshore.machinery.loop.recorder import Journal
from longshore.testing.clock import VirtualClock

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "src" / "longshore" / "machinery" / "controllers"
# What controllers share.
SHARED = {"common", "history"}
FOLDERS = sorted(
    one.name
    for one in HOUSE.iterdir()
    if (one / "__init__.py").is_file() and one.name not in SHARED
)
# What a plan may not know: other loops, the clock, the machine.
IMPURE = {"asyncio", "os", "random", "socket", "subprocess", "threading", "time"}


def table() -> dict[str, tuple[str, list[str], list[str], list[str]]]:
    """The rows of docs/controllers.md: what a folder does, its queues, roles and tests."""
    page = (ROOT / "docs" / "controllers.md").read_text()
    rows = re.findall(r"^\| ([a-z]+) \| (.+) \| (.+) \| (.+) \| (.+) \|$", page, re.M)
    return {
        folder: (does, _words(queues), _words(roles), _words(tests))
        for folder, does, queues, roles, tests in rows
    }


def _words(cell: str) -> list[str]:
    return [] if cell == "-" else cell.split(", ")


def test_every_folder_has_its_line() -> None:
    assert sorted(table()) == FOLDERS


@pytest.mark.parametrize("folder", FOLDERS)
def test_roles_and_tests_that_the_page_names_are_there(folder: str) -> None:
    _, _, roles, tests = table()[folder]
    assert [role for role in roles if role not in rbac.ROLES] == []
    assert tests
    places = [one if "/" in one else f"tests/controllers/{one}" for one in tests]
    assert [place for place in places if not (ROOT / f"{place}.py").is_file()] == []


def test_queues_are_those_that_run(tmp_path: Path) -> None:
    clock, chance = VirtualClock(), Chance.seeded(1)
    client = InProcess(Registry(MemoryStore(), clock, chance), loop_user("test"))
    recorder = Journal(client, clock).recorder("controllers")
    config = ControllerConfig(Authority(tmp_path, clock), sign=lambda _account, _secret: "")
    build(Cache(KINDS), client, clock, chance, recorder, config)
    lines = config.queues.lines(clock.monotonic())
    running = {
        found[1] for line in lines if (found := re.match(r'workqueue_depth{name="(.+)"}', line))
    }
    assert running == {queue for _, queues, _, _ in table().values() for queue in queues}


@pytest.mark.parametrize("path", sorted(HOUSE.glob("*/plan.py")), ids=lambda path: path.parent.name)
def test_plans_are_pure(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {
        alias.name for one in ast.walk(tree) if isinstance(one, ast.Import) for alias in one.names
    }
    taken = {one.module or "" for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)}
    names = {
        alias.name
        for one in ast.walk(tree)
        if isinstance(one, ast.ImportFrom)
        for alias in one.names
    }
    assert (imported | taken) & IMPURE == set()
    assert names & {"Cache", "Client", "Clock", "Recorder", "Registry"} == set()
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert [one for one in ast.walk(tree) if isinstance(one, waiting)] == []
    assert re.search(r"\bpure\b", ast.get_docstring(tree) or "", re.IGNORECASE), "it says so"


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_runs_is_apart_from_what_is_planned(folder: str) -> None:
    """Every folder has its run.py, which is thin: the thinking is next door."""
    run = HOUSE / folder / "run.py"
    assert run.is_file()
    assert ast.get_docstring(ast.parse((HOUSE / folder / "__init__.py").read_text()))
