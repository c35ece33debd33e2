"""gRPC with those who bring devices: the methods, and a peer behind a socket.

Importing this module imports gRPC, which takes 10 MB: it is done when the first of them shows up.
Methods: k8s.io/kubelet/pkg/apis (deviceplugin/v1beta1, pluginregistration/v1, dra, podresources/v1).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from longshore.machinery.kubelet.devices import api_pb2 as api
from longshore.machinery.kubelet.devices.model import PluginFailure

Asked = TypeVar("Asked", bound=Message)
Answered = TypeVar("Answered", bound=Message)
# pkg/kubelet/cm/devicemanager/plugin/v1beta1/client.go: how long a plugin may take to answer the door.
CONNECT_S = 10.0
_CLOSING = "rpc error: code = Canceled desc = the client connection is closing"
_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))


@dataclass(frozen=True, slots=True)
class Method(Generic[Asked, Answered]):
    """One method; several versions of a service may have it under several paths."""

    path: str
    asked: type[Asked]
    answered: type[Answered]


REGISTER = Method("/v1beta1.Registration/Register", api.RegisterRequest, api.Nothing)
_PLUGIN = "/v1beta1.DevicePlugin/"
OPTIONS = Method(_PLUGIN + "GetDevicePluginOptions", api.Nothing, api.PluginOptions)
LIST_AND_WATCH = Method(_PLUGIN + "ListAndWatch", api.Nothing, api.DeviceList)
PREFER = Method(_PLUGIN + "GetPreferredAllocation", api.PreferRequest, api.PreferResponse)
ALLOCATE = Method(_PLUGIN + "Allocate", api.AllocateRequest, api.AllocateResponse)
PRE_START = Method(_PLUGIN + "PreStartContainer", api.DeviceIds, api.Nothing)

_REGISTRATION = "/pluginregistration.Registration/"
GET_INFO = Method(_REGISTRATION + "GetInfo", api.Nothing, api.PluginInfo)
NOTIFY = Method(_REGISTRATION + "NotifyRegistrationStatus", api.RegistrationStatus, api.Nothing)

_PREPARE = "DRAPlugin/NodePrepareResources"
_UNPREPARE = "DRAPlugin/NodeUnprepareResources"
_DRA = "/k8s.io.kubelet.pkg.apis.dra."
DRA_VERSIONS = ("v1", "v1beta1")
"""Of the drivers' service, the best first."""


def prepare_method(version: str) -> Method[api.ClaimsRequest, api.PrepareResponse]:
    return Method(f"{_DRA}{version}.{_PREPARE}", api.ClaimsRequest, api.PrepareResponse)


def unprepare_method(version: str) -> Method[api.ClaimsRequest, api.UnprepareResponse]:
    return Method(f"{_DRA}{version}.{_UNPREPARE}", api.ClaimsRequest, api.UnprepareResponse)


_LISTER = "/v1.PodResourcesLister/"
LIST_PODS = Method(_LISTER + "List", api.Nothing, api.PodResourcesList)
GET_POD = Method(_LISTER + "Get", api.GetPodResourcesRequest, api.GetPodResourcesResponse)
GET_ALLOCATABLE = Method(_LISTER + "GetAllocatableResources", api.Nothing, api.AllocatableResources)


class Peer:
    """A plugin or driver that listens on a socket."""

    def __init__(self, socket: Path | str) -> None:
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=_OPTIONS)

    async def connect(self) -> None:
        """Raises PluginFailure if nobody answers within CONNECT_S."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._channel.channel_ready()
        except TimeoutError as error:
            raise PluginFailure("context deadline exceeded") from error

    async def ask(
        self, method: Method[Asked, Answered], request: Asked, within_s: float
    ) -> Answered:
        """Raises PluginFailure in the words of Go's gRPC."""
        call = self._channel.unary_unary(
            method.path,
            request_serializer=method.asked.SerializeToString,
            response_deserializer=method.answered.FromString,
        )
        with _explained():
            answer: Answered | None = await call(request, timeout=within_s)
        return _readable(answer)

    async def follow(
        self, method: Method[Asked, Answered], request: Asked
    ) -> AsyncIterator[Answered]:
        """What it says from now on, until it ends. Raises PluginFailure."""
        call = self._channel.unary_stream(
            method.path,
            request_serializer=method.asked.SerializeToString,
            response_deserializer=method.answered.FromString,
        )
        with _explained():
            async for said in call(request):
                yield _readable(said)

    async def close(self) -> None:
        await self._channel.close()


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever ends a call is a PluginFailure. Closing a channel cancels its calls: that does not end the
    task that waits for one."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise PluginFailure(_words(error)) from error
    except grpc.aio.UsageError as error:
        raise PluginFailure(_CLOSING) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise PluginFailure(_CLOSING) from error


def _readable(answer: Answered | None) -> Answered:
    """gRPC hands out None for a message that it cannot read."""
    if answer is None:
        raise PluginFailure("rpc error: code = Internal desc = the answer cannot be read")
    return answer


def _words(error: grpc.aio.AioRpcError) -> str:
    code = "".join(word.title() for word in error.code().name.split("_"))
    return f"rpc error: code = {code} desc = {error.details()}"


class Handlers(grpc.GenericRpcHandler):
    """What a server answers, method by method. A handler's PluginFailure is the caller's error."""

    def __init__(self) -> None:
        self._by_path: dict[str, grpc.RpcMethodHandler[Message, Message]] = {}

    def put(
        self, method: Method[Asked, Answered], handler: Callable[[Asked], Awaitable[Answered]]
    ) -> None:
        async def answer(
            request: Asked, context: grpc.aio.ServicerContext[Asked, Answered]
        ) -> Answered:
            try:
                return await handler(request)
            except PluginFailure as error:
                await context.abort(grpc.StatusCode.UNKNOWN, str(error))

        self._by_path[method.path] = grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=method.asked.FromString,
            response_serializer=method.answered.SerializeToString,
        )

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Message, Message] | None:
        return self._by_path.get(details.method)


async def serve(address: str, handlers: Handlers) -> grpc.aio.Server:
    """Answer these methods at UNIX-domain or other address."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers,))
    server.add_insecure_port(address)
    await server.start()
    return server
