"""How the cri driver hears of ends: from runtimes that tell in the CRI's way, in containerd's, or not at all. The
runtime is a gRPC server that serves no more than that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from longshore.base.clock import SystemClock
from longshore.machinery.runtime.cri import calls
from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.calls import Calls, Silent
from longshore.machinery.runtime.cri.events import ALL, Ends
from longshore.machinery.runtime.protocol import RuntimeFailure

Message = Any


class Teller:
    """Serves one method, by which it tells what is put into its queue."""

    def __init__(self, socket: Path, method: calls.Method[Any, Any] | None) -> None:
        self.socket = socket
        self.telling: asyncio.Queue[Message] = asyncio.Queue()
        self._method = method
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        self._server = grpc.aio.server()
        if self._method is not None:
            service, _, name = self._method.path.removeprefix("/").partition("/")
            handler = grpc.unary_stream_rpc_method_handler(
                self._tell,
                request_deserializer=self._method.asked.FromString,
                response_serializer=self._method.answered.SerializeToString,
            )
            handlers = grpc.method_handlers_generic_handler(service, {name: handler})
            self._server.add_generic_rpc_handlers((handlers,))
        self._server.add_insecure_port(f"unix:{self.socket}")
        await self._server.start()

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.stop(None)

    async def _tell(self, asked: Message, context: Message) -> AsyncIterator[Message]:
        while True:
            yield await self.telling.get()


def stopped(container_id: str, kind: str = "STOPPED") -> rpc.ContainerEvent:
    return rpc.ContainerEvent(container_id=container_id, container_event_type=kind)


def exited(container_id: str, process: str) -> rpc.Envelope:
    exit = rpc.TaskExit(container_id=container_id, id=process)
    return rpc.Envelope(topic="/tasks/exit", event=rpc.Any(value=exit.SerializeToString()))


async def heard(ends: Ends) -> str:
    """The next end that has a name."""
    async with asyncio.timeout(60):
        while not (found := await ends.next()):
            pass
        return found


@pytest.mark.parametrize(
    ("method", "messages"),
    [
        (calls.EVENTS, [stopped("a", "STARTED"), stopped("a"), stopped("b")]),
        (calls.SUBSCRIBE, [exited("a", "a"), exited("a", "a command"), exited("b", "b")]),
    ],
)
async def test_ends_are_told_in_either_way(
    tmp_path: Path, method: calls.Method[Any, Any], messages: list[Message]
) -> None:
    teller = Teller(tmp_path / "s", method)
    await teller.start()
    said: list[str] = []
    ask = Calls(f"unix://{teller.socket}")
    ends = Ends(ask, SystemClock(), said.append)
    assert await ends.next() == ALL  # whatever was before
    for message in messages:
        teller.telling.put_nowait(message)
    assert [await heard(ends), await heard(ends)] == ["a", "b"]
    await teller.stop()
    waiting = asyncio.ensure_future(heard(ends))
    await SystemClock().sleep(0.3)
    await teller.start()
    teller.telling.put_nowait(messages[-1])
    assert await waiting == "b"
    assert len(said) == 1
    ends.close()
    await ask.close()
    await teller.stop()


async def test_where_nobody_tells_all_are_looked_at(tmp_path: Path) -> None:
    teller = Teller(tmp_path / "s", None)
    await teller.start()
    ask = Calls(f"unix://{teller.socket}")
    said: list[str] = []
    ends = Ends(ask, SystemClock(), said.append)
    async with asyncio.timeout(60):
        assert [await ends.next() for _ in range(4)] == [ALL] * 4
    assert said == []
    ends.close()
    await ask.close()
    await teller.stop()


async def test_what_a_failed_call_means(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure, match="is not unix:///PATH"):
        Calls("tcp://1.2.3.4")
    ask = Calls(f"unix://{tmp_path}/nobody")
    with pytest.raises(Silent, match=f"the container runtime at {tmp_path}/nobody does not answer"):
        await ask(calls.VERSION, rpc.VersionRequest())
    await ask.close()


async def test_containerd_that_has_only_begun_is_to_be_asked_again(tmp_path: Path) -> None:
    async def refuse(asked: Message, context: Message) -> Message:
        await context.abort(grpc.StatusCode.UNKNOWN, "server is not initialized yet")

    server = grpc.aio.server()
    handlers: dict[str, Any] = {"Version": grpc.unary_unary_rpc_method_handler(refuse)}
    served = grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", handlers)
    server.add_generic_rpc_handlers((served,))
    server.add_insecure_port(f"unix:{tmp_path}/s")
    await server.start()
    ask = Calls(f"unix://{tmp_path}/s")
    with pytest.raises(Silent, match=f"the container runtime at {tmp_path}/s is starting"):
        await ask(calls.VERSION, rpc.VersionRequest())
    await ask.close()
    await server.stop(None)
