"""Carry out one probe or hook: an HTTP request, a TCP connection, a call of gRPC, a command in the
container.

Outcomes and words follow pkg/probe. The agent runs in the node's network namespace, from where
pods are reached directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.probes.grpc_health import check_health
from longshore.machinery.kubelet.probes.http_get import (
    PlainAnswer,
    Unanswered,
    address,
    agent_of,
    headers_of,
    http_get,
    url_of,
)
from longshore.machinery.kubelet.probes.outcome import Outcome
from longshore.machinery.network.errors import unreached
from longshore.machinery.runtime.protocol import CanExec, RuntimeFailure

_PROBE, _HOOK = "probe", "lifecycle"
_OUTPUT_MAX_BYTES = 10 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a handler is for: the container (its document and runtime id) and the pod's address."""

    container: Doc
    container_id: str
    pod_ip: str


class Checker(Protocol):
    """Carries out handlers; tests give one that needs no network."""

    async def check(self, handler: Doc, target: Target, timeout_s: float) -> Outcome:
        """Of a probe."""

    async def carry_out(self, handler: Doc, target: Target, timeout_s: float) -> Outcome:
        """Of a hook."""


_Get = Callable[[Doc, str, int], Awaitable[Outcome]]
"""What is made of an httpGet handler, given the host and the port."""


class RealChecker:
    """Talks to the container itself."""

    def __init__(self, execs: CanExec | None) -> None:
        self._execs = execs

    async def check(self, handler: Doc, target: Target, timeout_s: float) -> Outcome:
        return await self._within(handler, target, timeout_s, _probed)

    async def carry_out(self, handler: Doc, target: Target, timeout_s: float) -> Outcome:
        return await self._within(handler, target, timeout_s, _called)

    async def _within(self, handler: Doc, target: Target, timeout_s: float, get: _Get) -> Outcome:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._done(handler, target, timeout_s, get)
        except TimeoutError:
            return Outcome(False, _too_late(handler, target, timeout_s))
        except (OSError, ValueError, RuntimeFailure, Unanswered) as error:
            return Outcome(False, str(error))

    async def _done(self, handler: Doc, target: Target, timeout_s: float, get: _Get) -> Outcome:
        if (asked := handler.get("httpGet")) is not None:
            return await get(asked, *_place(asked, target))
        if "tcpSocket" in handler:
            return await _tcp_socket(handler["tcpSocket"], target)
        if "grpc" in handler:
            asked = handler["grpc"]
            service = asked.get("service") or ""
            return await check_health(target.pod_ip, int(asked["port"]), service, agent_of(_PROBE))
        assert self._execs is not None, f"support.refused() let this handler through: {handler}"
        command = list(handler["exec"].get("command") or [])
        code, output = await self._execs.exec_sync(target.container_id, command, timeout_s)
        text = output[:_OUTPUT_MAX_BYTES].decode(errors="replace").strip()
        return Outcome(code == 0, text or f"command exited with {code}")


def _too_late(handler: Doc, target: Target, timeout_s: float) -> str:
    if (get := handler.get("httpGet")) is not None:
        late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return f'Get "{url_of(get, *_place(get, target))}": {late}'
    if (connect := handler.get("tcpSocket")) is not None:
        host, port = _place(connect, target)
        return f"dial tcp {address(host, port)}: i/o timeout"
    if "grpc" in handler:
        return f"timeout: health rpc did not complete within {timeout_s:g}s"
    command = " ".join(handler["exec"].get("command") or [])
    return f'command timed out: "{command}" timed out after {timeout_s:g}s'


def _place(doc: Doc, target: Target) -> tuple[str, int]:
    return doc.get("host") or target.pod_ip, port_of(doc["port"], target.container)


async def _tcp_socket(doc: Doc, target: Target) -> Outcome:
    host, port = _place(doc, target)
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return Outcome(False, unreached(error, host, port))
    writer.close()
    return Outcome(True)


async def _probed(doc: Doc, host: str, port: int) -> Outcome:
    answer = await http_get(url_of(doc, host, port), headers_of(doc, _PROBE))
    if 200 <= answer.code < 300:
        return Outcome(True)
    if 300 <= answer.code < 400:
        warning = f"Probe terminated redirects, Response body: {answer.body}"
        return Outcome(True, warning=warning)
    return Outcome(False, f"HTTP probe failed with statuscode: {answer.code}")


async def _called(doc: Doc, host: str, port: int) -> Outcome:
    """A hook has run once it is answered, whatever that says. What once was asked in plain HTTP whatever
    its scheme said still is where there is no TLS (pkg/kubelet/lifecycle/handlers.go)."""
    headers = headers_of(doc, _HOOK)
    try:
        await http_get(url_of(doc, host, port), headers)
    except PlainAnswer:
        known = [one for one in headers if one[0] != "Authorization"]
        await http_get(url_of({**doc, "scheme": "HTTP"}, host, port), known)
        where = f"request to HTTPS lifecycle hook {address(host, port)}"
        return Outcome(True, warning=f"{where} got HTTP response, retry with HTTP succeeded")
    return Outcome(True)


def port_of(port: int | str, container: Doc) -> int:
    """A port number, or the number of the container's port of that name. Raises ValueError."""
    if isinstance(port, int):
        return port
    for entry in container.get("ports") or []:
        if entry.get("name") == port:
            return int(entry["containerPort"])
    if port.isdigit():
        return int(port)
    raise ValueError(f"couldn't find port: {port} in container {container['name']}")
