"""The members of an etcd cluster as one: channels with TLS, a time limit on each question, and the
next member when one does not answer.

A question to etcd has one of three ends: an answer, a refusal (StoreError: nothing was done), or
none in time (Unanswered: it may or may not have been done). Who asks a question that changes
nothing may ask it again (`ask`); who changes something has to find out first (`once`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from longshore.base.clock import Clock
from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.protocol import (
    StoreDamaged,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreSilent,
    StoreTooLarge,
)

Asked = TypeVar("Asked", bound=Message)
Answered = TypeVar("Answered", bound=Message)
log = logging.getLogger("longshore.store")

DEFAULT_PORT = 2379
# One question to one member: twice etcd's default time for an election.
ANSWER_S = 2.0
# How long a question is put to one member after another before the cluster counts as gone.
PATIENCE_S = 15.0
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.05, 1.0

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
)
# Ends a stream whose member has lost the others (etcd's rpctypes.MetadataRequireLeaderKey).
_WITH_LEADER = (("hasleader", "true"),)
_NO_ANSWER = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.CANCELLED,
}


class Unanswered(Exception):
    """A member did not answer: whether it did what it was asked is not known."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: the authority that signed the members' certificates, and our own certificate."""

    authority: Path
    certificate: Path
    key: Path

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises StoreError for a file that cannot be read."""
        try:
            parts = [file.read_bytes() for file in (self.authority, self.key, self.certificate)]
        except OSError as error:
            raise StoreError(f"the etcd store's TLS: {error}") from error
        return grpc.ssl_channel_credentials(*parts)


@dataclass(frozen=True, slots=True)
class Method(Generic[Asked, Answered]):
    """One method of etcd's API."""

    path: str
    asked: type[Asked]
    answered: type[Answered]


RANGE = Method("/etcdserverpb.KV/Range", rpc.RangeRequest, rpc.RangeResponse)
TXN = Method("/etcdserverpb.KV/Txn", rpc.TxnRequest, rpc.TxnResponse)
COMPACT = Method("/etcdserverpb.KV/Compact", rpc.CompactionRequest, rpc.CompactionResponse)
_WATCH = "/etcdserverpb.Watch/Watch"

Watching = grpc.aio.StreamStreamCall[Message, rpc.WatchResponse]


def parse_address(address: str) -> list[str]:
    """The end points, HOST:PORT, of etcd://HOST[:PORT][,HOST[:PORT]...]. Raises ValueError."""
    scheme, _, hosts = address.partition("://")
    if scheme != "etcd" or not all(hosts.split(",")) or set(hosts) & set("/@?# "):
        raise ValueError(f"{address!r}: want etcd://HOST[:PORT][,HOST[:PORT]...]")
    return [_with_port(host) for host in hosts.split(",")]


def _with_port(host: str) -> str:
    has_port = ":" in host.rpartition("]")[2] if host.startswith("[") else ":" in host
    return host if has_port else f"{host}:{DEFAULT_PORT}"


class Members:
    """Talks to one member at a time, and goes to the next when that one fails."""

    def __init__(
        self,
        endpoints: Sequence[str],
        clock: Clock,
        tls: Tls | None = None,
        answer_s: float = ANSWER_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        assert endpoints
        self._endpoints = list(endpoints)
        self._clock, self._tls = clock, tls
        self._answer_s, self._patience_s = answer_s, patience_s
        self._at = 0
        self._failures = 0
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def close(self) -> None:
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()

    async def once(self, method: Method[Asked, Answered], request: Asked) -> Answered:
        """Ask one member, once. Raises StoreError if it refuses and Unanswered if it is not known
        what became of it: then the next question goes to the next member, after pause()."""
        endpoint = self._endpoints[self._at]
        call = self._channel(endpoint).unary_unary(
            method.path,
            request_serializer=method.asked.SerializeToString,
            response_deserializer=method.answered.FromString,
        )
        try:
            answer = await call(request, timeout=self._answer_s)
        except grpc.aio.AioRpcError as error:
            raise self.failed(error, endpoint) from error
        self._failures = 0
        return answer

    async def ask(self, method: Method[Asked, Answered], request: Asked) -> Answered:
        """Ask until somebody answers, something that may be done twice. Raises StoreError, also
        (StoreSilent) when nobody has answered for patience_s."""
        give_up = self._clock.monotonic() + self._patience_s
        while True:
            try:
                return await self.once(method, request)
            except Unanswered as error:
                if self._clock.monotonic() >= give_up:
                    raise StoreSilent(
                        f"no member of etcd answers; the last one: {error}"
                    ) from error
                await self.pause()

    async def pause(self) -> None:
        """Wait before the next question if every member has failed in turn, longer each round."""
        rounds, within = divmod(self._failures, len(self._endpoints))
        if within == 0 and rounds:
            await self._clock.sleep(min(_PAUSE_MIN_S * 2 ** min(rounds, 10), _PAUSE_MAX_S))

    def watch(self) -> Watching:
        """A stream of changes from one member; it lasts until it is cancelled. What it raises goes
        through failed()."""
        call = self._channel(self._endpoints[self._at]).stream_stream(
            _WATCH,
            request_serializer=rpc.WatchRequest.SerializeToString,
            response_deserializer=rpc.WatchResponse.FromString,
        )
        return call(metadata=_WITH_LEADER)

    def failed(
        self, error: grpc.aio.AioRpcError, endpoint: str | None = None
    ) -> StoreError | Unanswered:
        """What an error of a call means; no answer moves on to the next member."""
        endpoint = endpoint or self._endpoints[self._at]
        if error.code() not in _NO_ANSWER:
            return _refused(error)
        return self._left(endpoint, error.details() or error.code().name)

    def silent(self) -> Unanswered:
        """The member that is asked at the moment has fallen silent: on to the next."""
        return self._left(self._endpoints[self._at], "it is silent")

    def _left(self, endpoint: str, why: str) -> Unanswered:
        if endpoint == self._endpoints[self._at]:
            self._at = (self._at + 1) % len(self._endpoints)
        self._failures += 1
        log.warning("etcd at %s does not answer: %s", endpoint, why)
        return Unanswered(f"{endpoint}: {why}")

    def _channel(self, endpoint: str) -> grpc.aio.Channel:
        if endpoint not in self._channels:
            self._channels[endpoint] = self._connected(endpoint)
        return self._channels[endpoint]

    def _connected(self, endpoint: str) -> grpc.aio.Channel:
        if self._tls is None:
            return grpc.aio.insecure_channel(endpoint, options=_OPTIONS)
        return grpc.aio.secure_channel(endpoint, self._tls.credentials(), options=_OPTIONS)


def _refused(error: grpc.aio.AioRpcError) -> StoreError:
    said = error.details() or error.code().name
    if "space exceeded" in said:
        return StoreFull(
            f"etcd has no room: {said}; compact and defragment it, then disarm the alarm"
        )
    if (
        "too large" in said
        or "too many operations" in said
        or error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    ):
        return StoreTooLarge(f"etcd refused: {said}")
    if error.code() is grpc.StatusCode.DATA_LOSS:
        return StoreDamaged(f"etcd: {said}")
    if error.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED):
        return StoreDenied(f"etcd: {said}")
    return StoreError(f"etcd refused: {said}")
