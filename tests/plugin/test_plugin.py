"""The plugin from outside: pytest runs whole files in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.slow

HEAD = """
import os, pytest

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}}

def names(kube):
    return [one.metadata.name for one in kube.list("configmaps")]
"""


@pytest.fixture(autouse=True)
def _bare(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/before")
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )


def run(pytester: pytest.Pytester, text: str, *words: str) -> pytest.RunResult:
    pytester.makepyfile(HEAD + text)
    return pytester.runpytest_subprocess("-p", "no:schemathesis", "-p", "no:cacheprovider", *words)


def test_outcomes(pytester: pytest.Pytester) -> None:
    """Each test has its own cluster, and what fails says why, whatever it was that failed."""
    result = run(
        pytester,
        """
def test_passes(kube):
    kube.apply(MAP)
    assert kube.get("cm/a").data.k == "1"
    assert os.environ["KUBECONFIG"] == str(kube.kubeconfig)

def test_starts_afresh(kube):
    assert names(kube) == ["kube-root-ca.crt"]

def test_puts_the_environment_back():
    assert os.environ["KUBECONFIG"] == "/before"

def test_waits_in_vain(kube):
    kube.apply(MAP)
    kube.wait("cm/a", "data.k=2", timeout="1h")

def test_runs_what_fails(kube):
    def controller():
        raise LookupError("the controller broke")
    kube.run(controller).join(10)

def test_asks_too_much(kube):
    import kubernetes
    kubernetes.config.load_kube_config()
    kubernetes.client.CoreV1Api().list_namespace()
    assert False

async def test_is_asynchronous(kube):
    await kube.aio.apply(MAP)
    await kube.aio.wait("cm/a", "data.k=1")

@pytest.mark.anyio
async def test_is_anyios(kube, anyio_backend):
    await kube.aio.apply(MAP)

@pytest.mark.kube(nodez=3)
def test_marks_what_there_is_not(kube): ...

@pytest.mark.kube(controllers=["deploymint"])
def test_wants_who_there_is_not(kube): ...

@pytest.mark.kube(version="1.12")
def test_is_of_another_time(kube): ...
""",
        "--tb=short",
    )
    result.assert_outcomes(passed=5, failed=3, errors=3)
    result.stdout.fnmatch_lines_random([
        "E*Unmet: configmaps/a in namespace default did not have data.k=2 within 3600s",
        "E   What it is now:",
        "E         k: '1'",
        "E*LookupError: the controller broke",
        "*- what clients asked of kube -*",
        "200 GET /api/v1/namespaces (*python)",
        "*the mark kube has no argument nodez: there are nodes, controllers and version",
        "*no controller is named deploymint: there are *deployment*",
        "*version='1.12': this Longshore serves Kubernetes 1.* alone",
    ])  # fmt: skip
    assert "kube/kube.py:" not in result.stdout.str(), "tracebacks are of the test's own lines"


def test_processes_side_by_side_share_nothing(pytester: pytest.Pytester) -> None:
    """As the workers of pytest-xdist are."""
    pytester.makepyfile(
        HEAD
        + """
@pytest.mark.parametrize("number", range(8))
def test_alone(kube, number):
    kube.apply(MAP)
    kube.wait("cm/a", "data.k=1")
    assert names(kube) == ["a", "kube-root-ca.crt"]
"""
    )
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:schemathesis",
        "-p",
        "no:cacheprovider",
    ]
    both = [subprocess.Popen(words, cwd=pytester.path, stdout=subprocess.PIPE) for _ in range(2)]
    told = [process.communicate(timeout=120)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], told


def test_workers_of_xdist(pytester: pytest.Pytester) -> None:
    text = """
@pytest.mark.parametrize("number", range(8))
def test_alone(kube, number):
    kube.apply(MAP)
    assert names(kube) == ["a", "kube-root-ca.crt"]
"""
    run(pytester, text, "-n", "2").assert_outcomes(passed=8)


def test_on_a_real_cluster(pytester: pytest.Pytester) -> None:
    """The same tests, in a namespace each; what needs a simulated cluster is left out by name."""
    text = """
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
       "spec": {"containers": [{"name": "c", "image": "i"}]}}

@pytest.mark.parametrize("number", range(2))
def test_runs(kube, number):
    kube.apply(MAP, POD)
    assert names(kube) == ["a", "kube-root-ca.crt"]
    pod = kube.wait("pod/p", "Ready")
    assert pod.metadata.namespace == kube.namespace != "default"
    with pytest.raises(kube.Unmet, match="did not have data.k=2 within 0.2s"):
        kube.wait("cm/a", "data.k=2", timeout="200ms")
    import kubernetes
    kubernetes.config.load_kube_config()
    found = kubernetes.client.CoreV1Api().read_namespaced_config_map("a", kube.namespace)
    assert found.data == {"k": "1"}
    kube.delete("pod/p")
    assert kube.gone("pod/p")

def test_advances(kube):
    kube.clock.advance("10m")

@pytest.mark.kube(nodes=2)
def test_orders_nodes(kube): ...

def test_fails(kube):
    kube.get("cm/never")
"""
    result = run(pytester, text, "--kube=real", "-rs")
    result.assert_outcomes(passed=2, skipped=2, failed=1)
    result.stdout.fnmatch_lines_random(["*kube.clock.advance is of simulated clusters alone*"])
    left = subprocess.run(["ps", "-A", "-o", "args"], capture_output=True, text=True, check=True)
    assert "longshore-real-" not in left.stdout


def test_nothing_is_imported_where_no_test_asks(pytester: pytest.Pytester) -> None:
    """Only the plugin itself is loaded, which costs a hundredth of the 50 ms that it may."""
    result = run(
        pytester,
        """
import sys

def test_without_a_cluster():
    ours = {name for name in sys.modules if name.startswith("longshore")}
    assert ours == {
        "longshore", "longshore.testing", "longshore.testing.plugin", "longshore.testing.garbage"
    }
    assert "numpy" not in sys.modules


def test_the_platform_is_not_rewritten(kube):
    from longshore.testing.kube import engine
    assert "AssertionRewritingHook" not in type(engine.__loader__).__name__
""",
    )
    result.assert_outcomes(passed=2)
    code = (
        "import time, pytest; begun = time.process_time(); import longshore.testing.plugin;"
        "print(time.process_time() - begun)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert float(told.stdout) < 0.05


# What there is on Unix or on Linux alone, and what a test's cluster has no use for. (resource is asked
# for where there is Unix.)
_ELSEWHERE_MISSING = (
    "fcntl", "grp", "pwd", "termios", "tty", "pty", "syslog", "uvloop", "isal", "pyroute2", "grpc",
    "sqlite3",
)  # fmt: skip


def test_it_needs_nothing_of_linux() -> None:
    """With those modules missing, a whole cluster comes up, works and ends."""
    code = f"""
import sys
import asyncio, subprocess, pathlib, tempfile  # the standard library asks for some, and does without
for name in {_ELSEWHERE_MISSING!r}:
    sys.modules[name] = None
from pathlib import Path
from longshore.testing.kube.session import SimulatedSession
from longshore.testing.kube.settings import Settings
session = SimulatedSession()
with session.cluster(Settings(), Path()) as kube:
    kube.apply({{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "p"}},
                "spec": {{"containers": [{{"name": "c", "image": "i"}}]}}}})
    kube.wait("pod/p", "Ready")
session.close()
ours = [name for name in sys.modules if name.startswith("longshore.machinery.network.")]
assert ours in ([], ["longshore.machinery.network.errors"]), ours
print("well")
"""
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
    )
    assert told.stdout == "well\n", told.stderr[-2000:]
