"""The CRI's methods, and a channel to whoever serves them.

A question has an answer, or ends in RuntimeFailure: in the runtime's own words where it refused, in a
sentence about the socket where it does not answer. Nothing is asked twice here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.protocol import RuntimeFailure

Asked = TypeVar("Asked", bound=Message)
Answered = TypeVar("Answered", bound=Message)

# What upstream's kubelet gives a runtime (runtimeRequestTimeout).
ANSWER_S = 120.0
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
    # Go checks the authority, and a socket's path is none.
    ("grpc.default_authority", "localhost"),
)
# What containerd says at its socket before it knows its containers, with the code of any error
# (internal/cri/instrument/instrumented_service.go).
_BEGINNING = "server is not initialized yet"


class NotThere(RuntimeFailure):
    """The runtime knows nothing of that id."""


class Unserved(RuntimeFailure):
    """The runtime has no such method."""


class Silent(RuntimeFailure):
    """Nobody answers at the socket, or not yet."""


class Late(RuntimeFailure):
    """It took longer than it may."""


NO_ANSWER = (Silent, Late)
"""After these nobody knows what was done."""


@dataclass(frozen=True, slots=True)
class Method(Generic[Asked, Answered]):
    """One method: its path, what is asked and what is answered."""

    path: str
    asked: type[Asked]
    answered: type[Answered]


def _runtime(name: str, asked: type[Asked], answered: type[Answered]) -> Method[Asked, Answered]:
    return Method(f"/runtime.v1.RuntimeService/{name}", asked, answered)


def _image(name: str, asked: type[Asked], answered: type[Answered]) -> Method[Asked, Answered]:
    return Method(f"/runtime.v1.ImageService/{name}", asked, answered)


VERSION = _runtime("Version", rpc.VersionRequest, rpc.VersionResponse)
STATUS = _runtime("Status", rpc.StatusRequest, rpc.StatusResponse)
RUN_SANDBOX = _runtime("RunPodSandbox", rpc.RunSandboxRequest, rpc.SandboxId)
STOP_SANDBOX = _runtime("StopPodSandbox", rpc.SandboxId, rpc.Empty)
REMOVE_SANDBOX = _runtime("RemovePodSandbox", rpc.SandboxId, rpc.Empty)
LIST_SANDBOXES = _runtime("ListPodSandbox", rpc.ListSandboxRequest, rpc.ListSandboxResponse)
CREATE = _runtime("CreateContainer", rpc.CreateContainerRequest, rpc.ContainerId)
START = _runtime("StartContainer", rpc.ContainerId, rpc.Empty)
STOP = _runtime("StopContainer", rpc.StopContainerRequest, rpc.Empty)
REMOVE = _runtime("RemoveContainer", rpc.ContainerId, rpc.Empty)
LIST = _runtime("ListContainers", rpc.ListContainersRequest, rpc.ListContainersResponse)
INSPECT = _runtime("ContainerStatus", rpc.ContainerStatusRequest, rpc.ContainerStatusResponse)
UPDATE = _runtime("UpdateContainerResources", rpc.UpdateContainerRequest, rpc.Empty)
REOPEN_LOG = _runtime("ReopenContainerLog", rpc.ContainerId, rpc.Empty)
STATS = _runtime("ListContainerStats", rpc.ListStatsRequest, rpc.ListStatsResponse)
EXEC_SYNC = _runtime("ExecSync", rpc.ExecSyncRequest, rpc.ExecSyncResponse)
EXEC = _runtime("Exec", rpc.ExecRequest, rpc.Url)
ATTACH = _runtime("Attach", rpc.AttachRequest, rpc.Url)
EVENTS = _runtime("GetContainerEvents", rpc.Empty, rpc.ContainerEvent)
LIST_IMAGES = _image("ListImages", rpc.Empty, rpc.ListImagesResponse)
IMAGE_STATUS = _image("ImageStatus", rpc.ImageRequest, rpc.ImageStatusResponse)
PULL = _image("PullImage", rpc.PullImageRequest, rpc.PullImageResponse)
REMOVE_IMAGE = _image("RemoveImage", rpc.ImageRequest, rpc.Empty)
# containerd's own, for those before 1.7, which have no GetContainerEvents.
SUBSCRIBE = Method(
    "/containerd.services.events.v1.Events/Subscribe", rpc.SubscribeRequest, rpc.Envelope
)


class Calls:
    """A channel to one endpoint, unix:///PATH. Raises RuntimeFailure for another kind."""

    def __init__(self, endpoint: str) -> None:
        scheme, _, path = endpoint.partition("://")
        if scheme != "unix" or not path.startswith("/"):
            raise RuntimeFailure(f'the runtime endpoint "{endpoint}" is not unix:///PATH')
        self.socket = path
        self._channel = grpc.aio.insecure_channel(f"unix:{path}", _OPTIONS)

    async def close(self) -> None:
        await self._channel.close()

    async def __call__(
        self, method: Method[Asked, Answered], asked: Asked, timeout_s: float | None = ANSWER_S
    ) -> Answered:
        call = self._channel.unary_unary(
            method.path,
            request_serializer=method.asked.SerializeToString,
            response_deserializer=method.answered.FromString,
        )
        try:
            answered: Answered = await call(asked, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise self.failure(error) from error
        return answered

    def stream(
        self, method: Method[Asked, Answered], asked: Asked
    ) -> grpc.aio.UnaryStreamCall[Any, Answered]:
        """Answers that come by and by; reading may raise grpc.aio.AioRpcError."""
        call = self._channel.unary_stream(
            method.path,
            request_serializer=method.asked.SerializeToString,
            response_deserializer=method.answered.FromString,
        )
        return call(asked)

    def failure(self, error: grpc.aio.AioRpcError) -> RuntimeFailure:
        """What a failed call means."""
        words = error.details() or error.code().name
        if words == _BEGINNING:
            return Silent(f"the container runtime at {self.socket} is starting")
        match error.code():
            case grpc.StatusCode.NOT_FOUND:
                return NotThere(words)
            case grpc.StatusCode.UNIMPLEMENTED:
                return Unserved(words)
            case grpc.StatusCode.UNAVAILABLE:
                return Silent(f"the container runtime at {self.socket} does not answer")
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return Late(f"the container runtime did not do it in time: {words}")
        return RuntimeFailure(words)
