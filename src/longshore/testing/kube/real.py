"""The same tests on a real local cluster: `pytest --kube=real`."""

from __future__ import annotations

import base64
import http.client
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

import orjson
import pytest

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Ref
from longshore.testing.kube import kubeconfig, manifests, naming
from longshore.testing.kube.backend import JSON, Answer
from longshore.testing.kube.faults import Failure
from longshore.testing.kube.kube import Kube
from longshore.testing.kube.settings import Settings

_COMMAND = (sys.executable, "-c", "from longshore.cli.main import main; main()")
# How often is looked whether what is waited for has come, and how long one answer may take, in seconds.
_LOOK_S, _ANSWER_S = 0.05, 30.0
_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')


class RealSession:
    """A cluster of `longshore up --hollow` for the whole session, and a namespace for each test."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="longshore-real-"))
        self._name = f"test-{Chance().suffix(8)}"
        self._longshore("up", "--hollow", "--no-merge")
        self._config = self._longshore("kubeconfig")

    @contextmanager
    def cluster(self, settings: Settings, base: Path) -> Iterator[Kube]:
        """base is where the test's relative paths begin."""
        if settings != Settings():
            _only_simulated("the mark kube with nodes or controllers")
        with ExitStack() as ending:
            backend = RealBackend(self._config, self._root)
            ending.callback(backend.stop)
            ending.enter_context(kubeconfig.as_default(backend.kubeconfig))
            kube = Kube(backend, base)
            ending.callback(kube.close)
            yield kube

    def close(self) -> None:
        self._longshore("down")
        shutil.rmtree(self._root, ignore_errors=True)  # down has taken it with it

    def _longshore(self, verb: str, *words: str) -> str:
        where = ("--name", self._name, "--root", str(self._root))
        done = subprocess.run(
            [*_COMMAND, verb, *words, *where], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"longshore {verb} failed: {done.stderr.strip()}")
        return done.stdout


class RealBackend:
    """A namespace of a running cluster, from the moment it is made until stop()."""

    is_real = True

    def __init__(self, config: str, directory: Path) -> None:
        (content,) = manifests.parsed(config, "the cluster's kubeconfig")
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        self.namespace = f"test-{Chance().suffix(10)}"
        self._wake = threading.Event()
        self._clock = SystemClock()
        self._host = cluster["server"].removeprefix("https://")
        self.kubeconfig: Path = kubeconfig.write(
            kubeconfig.of_parts(cluster, user, self.namespace), directory
        )
        self._tls = _context(cluster, user, directory)
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self.ask("POST", "/api/v1/namespaces", made)
        self.settle(self.namespace)

    def stop(self) -> None:
        self.ask("DELETE", f"/api/v1/namespaces/{self.namespace}")
        self.kubeconfig.unlink(missing_ok=True)

    def ask(
        self, method: str, path: str, body: Any = None, media: str = JSON, **query: str
    ) -> Answer:
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {"Content-Type": media, "Accept": JSON, "User-Agent": "pytest"}
        data = None if body is None else orjson.dumps(body)
        made = http.client.HTTPSConnection(self._host, timeout=_ANSWER_S, context=self._tls)
        with closing(made) as connection:
            connection.request(method, target, data, headers)
            reply = connection.getresponse()
            content = reply.read()
        is_json = (reply.getheader("Content-Type") or "").startswith(JSON)
        warned = _WARNING.findall(reply.getheader("Warning") or "")
        return Answer(reply.status, orjson.loads(content) if is_json else {}, warned)

    def until(
        self, ref: Ref, holds: Callable[[Doc | None], bool], seconds: float
    ) -> tuple[bool, Doc | None]:
        end = self._clock.monotonic() + seconds
        while True:
            doc = self._found(ref)
            if holds(doc) or self._clock.monotonic() >= end:
                return holds(doc), doc
            self._wake.wait(_LOOK_S)

    def settle(self, namespace: str) -> None:
        account = Ref(kinds.SERVICE_ACCOUNT, namespace, "default")
        self.until(account, lambda doc: doc is not None, _ANSWER_S)

    def advance(self, seconds: float) -> None:
        _only_simulated("kube.clock.advance")

    def now(self) -> float:
        return self._clock.now()

    def fail_next(self, pattern: str, failure: Failure, times: int) -> None:
        _only_simulated("kube.fail_next")

    def requests(self) -> NoReturn:
        _only_simulated("kube.requests")

    def forget_requests(self) -> None:
        _only_simulated("kube.forget_requests")

    def snapshot(self) -> NoReturn:
        _only_simulated("kube.snapshot")

    def restore(self, snapshot: Any) -> None:
        _only_simulated("kube.restore")

    def add_node(self, name: str, capacity: Mapping[str, str], labels: Mapping[str, str]) -> None:
        _only_simulated("kube.node")

    def expect(self, others: int) -> None:
        """Everybody has the same time here."""

    def hang_up(self) -> None:
        """The cluster goes on, so whoever waits for its news is left to itself."""

    def nudge(self) -> None:
        self._wake.set()

    def broken(self) -> None:
        """What breaks a cluster of processes of its own shows in its answers."""

    def _found(self, ref: Ref) -> Doc | None:
        answer = self.ask("GET", naming.path_of(ref.kind, ref.namespace, ref.name))
        return answer.doc if answer.status == 200 else None


def _only_simulated(what: str) -> NoReturn:
    __tracebackhide__ = True
    pytest.skip(f"{what} is of simulated clusters alone, and this is --kube=real")


def _context(cluster: Doc, user: Doc, directory: Path) -> ssl.SSLContext:
    """TLS as the kubeconfig's user. ssl reads pairs from files alone."""
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    pair = base64.b64decode(user["client-certificate-data"])
    key = base64.b64decode(user["client-key-data"])
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        file.write(pair + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context
