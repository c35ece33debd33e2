"""The pytest plugin: the fixture `kube`, a Kubernetes cluster of a test's own.

pytest imports this in every session in which Longshore is installed, so it imports nothing itself: what
the fixture is made of comes when it is first asked for. docs/testing.md tells how to use it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import Any

import pytest

from longshore.testing.garbage import uncollected

_MARK = (
    'kube(nodes=1, controllers="all", version=None): the cluster that the fixture kube gives: '
    "how many hollow nodes it has, which controllers run (their names, the scheduler's among "
    'them; "none"), and which version of Kubernetes the test is written for.'
)
_ASKED = "what clients asked of kube"
_KUBE: pytest.StashKey[Any] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("kube").addoption(
        "--kube",
        choices=("simulated", "real"),
        default="simulated",
        help="Where tests with the fixture kube run: simulated in this process, or on a real local "
        "cluster that `longshore up --hollow` starts, in a namespace for each test.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """pytest rewrites every module of a distribution that has a plugin, so that its asserts explain
    themselves. Longshore's are no tests: to rewrite them would take seconds of the first cluster."""
    hook = early_config.pluginmanager.rewrite_hook
    marked = getattr(hook, "_must_rewrite", None)
    if isinstance(marked, set):
        marked.difference_update([name for name in marked if name.split(".")[0] == "longshore"])
        getattr(hook, "_marked_for_rewrite_cache", {}).clear()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARK)


@pytest.fixture(scope="session")
def _kube_session(pytestconfig: pytest.Config) -> Iterator[Any]:
    real = pytestconfig.getoption("--kube") == "real"
    module, name = ("real", "RealSession") if real else ("session", "SimulatedSession")
    with uncollected():
        session = getattr(import_module(f"longshore.testing.kube.{module}"), name)()
    yield session
    session.close()


@pytest.fixture
def kube(request: pytest.FixtureRequest, _kube_session: Any) -> Iterator[Any]:
    """A fresh Kubernetes cluster (longshore.testing.kube.kube.Kube), and $KUBECONFIG set to it."""
    settings = import_module("longshore.testing.kube.settings").Settings
    mark = request.node.get_closest_marker("kube")
    args, options = (mark.args, mark.kwargs) if mark else ((), {})
    with ExitStack() as ending:
        try:
            wanted = settings.of(args, options)
            cluster = ending.enter_context(_kube_session.cluster(wanted, request.path.parent))
        except (ValueError, TypeError) as error:
            raise pytest.UsageError(f"{request.node.nodeid}: {error}") from None
        request.node.stash[_KUBE] = cluster
        yield cluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """A test fails with what runs beside it."""
    result = yield
    cluster = item.stash.get(_KUBE, None)
    if cluster is not None:
        cluster.check()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what clients asked of its cluster."""
    report = yield
    cluster = item.stash.get(_KUBE, None)
    failed = call.when == "call" and report.failed
    if failed and cluster is not None and (asked := cluster.asked()):
        report.sections.append((_ASKED, asked))
    return report
