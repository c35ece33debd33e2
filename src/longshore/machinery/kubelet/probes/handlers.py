"""Carry out one probe or hook: an HTTP request, a TCP connection, a call of gRPC, a command in the
container.

Outcomes and words follow pkg/probe. The agent runs in the node's network namespace, from where
pods are reached directly.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Protocol

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.probes.grpc_health import check_health
from longshore.machinery.kubelet.probes.outcome import Outcome
from longshore.machinery.network.errors import unreached
from longshore.machinery.runtime.protocol import CanExec, RuntimeFailure

USER_AGENT = "kube-probe/1.37"
_OUTPUT_MAX_BYTES = 10 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a handler is for: the container (its document and runtime id) and the pod's address."""

    container: Doc
    container_id: str
    pod_ip: str


class Checker(Protocol):
    """Carries out handlers; tests give one that needs no network."""

    async def check(self, handler: Doc, target: Target, timeout_s: float) -> Outcome: ...


class RealChecker:
    """Talks to the container itself."""

    def __init__(self, execs: CanExec | None) -> None:
        self._execs = execs

    async def check(self, handler: Doc, target: Target, timeout_s: float) -> Outcome:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._check(handler, target, timeout_s)
        except TimeoutError:
            return Outcome(False, _too_late(handler, target, timeout_s))
        except (OSError, ValueError, RuntimeFailure) as error:
            return Outcome(False, str(error))

    async def _check(self, handler: Doc, target: Target, timeout_s: float) -> Outcome:
        if "httpGet" in handler:
            return await _http_get(handler["httpGet"], target)
        if "tcpSocket" in handler:
            return await _tcp_socket(handler["tcpSocket"], target)
        if "grpc" in handler:
            asked = handler["grpc"]
            service = asked.get("service") or ""
            return await check_health(target.pod_ip, int(asked["port"]), service, USER_AGENT)
        assert self._execs is not None, f"support.refused() let this handler through: {handler}"
        command = list(handler["exec"].get("command") or [])
        code, output = await self._execs.exec_sync(target.container_id, command, timeout_s)
        text = output[:_OUTPUT_MAX_BYTES].decode(errors="replace").strip()
        return Outcome(code == 0, text or f"command exited with {code}")


def _too_late(handler: Doc, target: Target, timeout_s: float) -> str:
    if (get := handler.get("httpGet")) is not None:
        late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return f'Get "{_url(get, *_place(get, target))}": {late}'
    if (connect := handler.get("tcpSocket")) is not None:
        host, port = _place(connect, target)
        return f"dial tcp {host}:{port}: i/o timeout"
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


async def _http_get(doc: Doc, target: Target) -> Outcome:
    host, port = _place(doc, target)
    try:
        line = await _first_line(doc, host, port)
    except ConnectionResetError:
        why = f"read tcp {host}:{port}: read: connection reset by peer"
        return Outcome(False, f'Get "{_url(doc, host, port)}": {why}')
    except OSError as error:
        return Outcome(False, f'Get "{_url(doc, host, port)}": {unreached(error, host, port)}')
    if not line:
        return Outcome(False, f'Get "{_url(doc, host, port)}": EOF')
    code = _status_code(line)
    # Redirects count as success, as for upstream's probes that do not leave their host.
    good = 200 <= code < 400
    return Outcome(good, "" if good else f"HTTP probe failed with statuscode: {code}")


async def _first_line(doc: Doc, host: str, port: int) -> str:
    """Of the answer; empty if there is none. Raises OSError."""
    tls = _unverified() if _scheme(doc) == "https" else None
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        writer.write(_request(doc, host, port))
        return (await reader.readline()).decode("latin-1")
    finally:
        writer.close()


def _scheme(doc: Doc) -> str:
    scheme: str = doc.get("scheme") or "HTTP"
    return scheme.lower()


def _path(doc: Doc) -> str:
    path: str = doc.get("path") or "/"
    return path if path.startswith("/") else f"/{path}"


def _url(doc: Doc, host: str, port: int) -> str:
    return f"{_scheme(doc)}://{host}:{port}{_path(doc)}"


def _unverified() -> ssl.SSLContext:
    """Probes do not verify certificates (pkg/probe/http): they ask about health, not identity."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _request(doc: Doc, host: str, port: int) -> bytes:
    headers = {"host": f"{host}:{port}", "user-agent": USER_AGENT, "accept": "*/*"}
    headers |= {h["name"].lower(): h["value"] for h in doc.get("httpHeaders") or []}
    lines = [f"GET {_path(doc)} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in the path or a header of an httpGet probe")
    return ("\r\n".join([*lines, "connection: close"]) + "\r\n\r\n").encode()


def _status_code(line: str) -> int:
    match line.split(" ", 2):
        case [version, code, *_] if version.startswith("HTTP/") and code.strip().isdigit():
            return int(code)
    raise ValueError(f"malformed HTTP response {line[:80]!r}")


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
