"""Requests made of the published OpenAPI documents, on a real server: never a fault, never a hang;
what is served is as the documents say, what is refused is a v1 Status.

Schemathesis makes the requests, both such as the documents allow and such as they do not. Set
LONGSHORE_EXAMPLES to ask every operation so many times (the default is what a test run can spare).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.core.objects import kinds
from longshore.core.objects.kinds import KINDS
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.doors.kit.http import AnyReply, Request
from longshore.doors.kubernetes.door import KubernetesDoor
from longshore.doors.kubernetes.openapi import OpenApi
from tests.doors.rig import ADMIN, serving

_EXAMPLES = int(os.environ.get("LONGSHORE_EXAMPLES", "0"))
_DOCUMENTS = OpenApi(KINDS, "v1.37.0")
_EVERY = list(json.loads(_DOCUMENTS.v3_index)["paths"]) if _EXAMPLES else []
_REASONS = {
    400: {"BadRequest"}, 401: {"Unauthorized"}, 403: {"Forbidden"}, 404: {"NotFound"},
    405: {"MethodNotAllowed"}, 406: {"NotAcceptable"}, 409: {"AlreadyExists", "Conflict"},
    410: {"Expired", "Gone"}, 413: {"RequestEntityTooLarge"}, 415: {"UnsupportedMediaType"},
    422: {"Invalid"}, 429: {"TooManyRequests"}, 503: {"ServiceUnavailable"}, 504: {"Timeout"},
}  # fmt: skip


@dataclass
class Served:
    """A door on a port of 127.0.0.1, in a thread of its own; everybody is its master."""

    port: int = 0

    async def run(self, ready: threading.Event, stop: asyncio.Event) -> None:
        clock, chance = SystemClock(), Chance.seeded("schemathesis")
        registry = Registry(MemoryStore(), clock, chance)
        await registry.open()
        door = KubernetesDoor(registry, clock, chance)

        async def as_master(request: Request) -> AnyReply:
            return await door.handle(replace(request, user=ADMIN))

        async with asyncio.TaskGroup() as crew:
            tasks = [crew.create_task(registry.run()), crew.create_task(door.run())]
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
            await registry.create(ADMIN, kinds.NAMESPACE, space)
            async with serving(as_master, refusal=door.refusal) as (_, self.port):
                ready.set()
                await stop.wait()
            for task in tasks:
                task.cancel()


@contextlib.contextmanager
def _served() -> Iterator[str]:
    served, ready, loop, stop = (
        Served(),
        threading.Event(),
        asyncio.new_event_loop(),
        asyncio.Event(),
    )
    thread = threading.Thread(target=lambda: loop.run_until_complete(served.run(ready, stop)))
    thread.start()
    try:
        assert ready.wait(60)
        yield f"http://127.0.0.1:{served.port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with _served() as url:
        yield url


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as one:
        one.trust_env = False
        yield one


def _ask(case: Any, server: str, session: requests.Session) -> requests.Response:
    """Asks; of what goes on (a watch) only the beginning is read."""
    case.path_parameters = {
        name: "default" if name == "namespace" else value
        for name, value in (case.path_parameters or {}).items()
    }
    prepared = case.as_transport_kwargs(base_url=server)
    answer = session.request(**prepared, stream=True, timeout=90)
    if "watch" in (case.query or {}) and answer.ok:
        answer.close()
    return answer


def _is_proper(case: Any, answer: requests.Response) -> None:
    where = (case.method, answer.url, case.body, answer.status_code)
    assert answer.status_code < 500 or answer.status_code in (503, 504), (where, answer.text)
    if (answer.status_code, answer.text) == (404, "404 page not found\n"):
        return  # where nothing at all is served, as upstream says it
    media = answer.headers.get("content-type", "")
    if answer.status_code >= 400 and case.method != "HEAD":
        assert media == "application/json", (where, answer.text)
        status = answer.json()
        assert (status["kind"], status["apiVersion"]) == ("Status", "v1")
        assert status["code"] == answer.status_code, where
        assert status["reason"] in _REASONS[answer.status_code], (where, status)
        assert status["message"], where


def _hammer(
    operation: Any, mode: Any, examples: int, server: str, session: requests.Session
) -> int:
    asked = 0

    @settings(
        max_examples=examples, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        nonlocal asked
        asked += 1
        answer = _ask(case, server, session)
        _is_proper(case, answer)
        served = answer.status_code < 300 and case.method != "HEAD"
        if served and "watch" not in (case.query or {}):
            operation.validate_response(answer)

    with contextlib.suppress(Unsatisfiable):  # there may be nothing wrong that could be asked
        run()
    return asked


@cache
def _every_operation(document: bytes) -> list[Any]:
    import schemathesis

    results: list[Any] = list(
        schemathesis.openapi.from_dict(json.loads(document)).get_all_operations()
    )
    return [result.ok() for result in results]


def _operations(document: bytes | None, part: str) -> list[Any]:
    """Those of a document whose paths hold that part."""
    return [one for one in _every_operation(document or b"") if part in one.path]


def _hammer_all(operations: list[Any], server: str, session: requests.Session) -> None:
    from schemathesis import GenerationMode

    assert operations
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _hammer(operation, mode, _EXAMPLES or 1, server, session)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part"),
    [(name, "") for name in _EVERY] if _EXAMPLES else [
        ("api/v1", "/log"), ("api/v1", "/exec"), ("api/v1", "bindings"), ("api/v1", "token"),
        ("api/v1", "nodes/{name}/proxy"), ("apis/apps", ""),
        ("apis/policy/v1", ""), ("apis/coordination.k8s.io/v1", ""), ("version", ""),
        ("apis/authorization.k8s.io/v1", ""),
    ],
)  # fmt: skip
def test_operations_of_version_3(
    name: str, part: str, server: str, session: requests.Session
) -> None:
    _hammer_all(_operations(_DOCUMENTS.v3(name), part), server, session)


@pytest.mark.slow
def test_operations_of_version_2(server: str, session: requests.Session) -> None:
    part = "/apis/" if _EXAMPLES else "/apis/node.k8s.io/"
    _hammer_all(_operations(_DOCUMENTS.v2, part), server, session)
