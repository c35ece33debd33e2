"""The cluster of a test that an engine runs in this process."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from longshore.core.objects.kinds import Doc, Ref
from longshore.testing.kube import kubeconfig
from longshore.testing.kube.backend import JSON, Answer
from longshore.testing.kube.cluster import Snapshot, request
from longshore.testing.kube.engine import Engine
from longshore.testing.kube.faults import Failure
from longshore.testing.kube.requests import Asked
from longshore.testing.kube.settings import Settings

_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')


class SimulatedBackend:
    """A fresh cluster from the moment it is made until stop()."""

    is_real = False
    namespace = "default"

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._cluster, port = engine.cluster(settings)
        content = kubeconfig.of_token(
            f"https://127.0.0.1:{port}", engine.authority_pem, self._cluster.token.token
        )
        self.kubeconfig: Path = kubeconfig.write(content, engine.directory)

    def stop(self) -> None:
        self.kubeconfig.unlink(missing_ok=True)
        self._engine.call(self._cluster.stop())

    def ask(
        self, method: str, path: str, body: Any = None, media: str = JSON, **query: str
    ) -> Answer:
        data = b"" if body is None else orjson.dumps(body)
        reply = self._engine.call(self._cluster.ask(request(method, path, data, media, query)))
        doc = orjson.loads(reply.body) if reply.content_type.startswith(JSON) else {}
        return Answer(reply.status, doc, _WARNING.findall(reply.headers.get("Warning", "")))

    def until(
        self, ref: Ref, holds: Callable[[Doc | None], bool], seconds: float
    ) -> tuple[bool, Doc | None]:
        return self._engine.call(self._cluster.until(ref, holds, seconds))

    def settle(self, namespace: str) -> None:
        self._engine.call(self._cluster.settle())

    def advance(self, seconds: float) -> None:
        self._engine.call(self._cluster.advance(seconds))

    def now(self) -> float:
        return self._cluster.clock.now()

    def fail_next(self, pattern: str, failure: Failure, times: int) -> None:
        self._cluster.outside.fail_next(pattern, failure, times)

    def requests(self) -> list[Asked]:
        return list(self._cluster.outside.asked)

    def forget_requests(self) -> None:
        self._cluster.outside.asked.clear()

    def snapshot(self) -> Snapshot:
        return self._engine.call(self._cluster.snapshot())

    def restore(self, snapshot: Snapshot) -> None:
        self._engine.call(self._cluster.restore(snapshot))

    def add_node(self, name: str, capacity: Mapping[str, str], labels: Mapping[str, str]) -> None:
        self._engine.call(self._cluster.add_node(name, capacity, labels))

    def expect(self, others: int) -> None:
        self._cluster.expect(others)

    def hang_up(self) -> None:
        self._engine.call(self._cluster.hang_up())

    def nudge(self) -> None:
        self._engine.soon(self._cluster)

    def broken(self) -> None:
        self._cluster.check()
