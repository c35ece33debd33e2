"""The remote command protocol: a message is a channel's number and bytes for it. Pure.

Facts: kubernetes/apimachinery pkg/util/remotecommand/constants.go, kubelet's
cri-streaming/remotecommand/websocket.go, KEP-4006 (v5: a channel can be closed).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255


class BadMessage(Exception):
    """A message that is none of this protocol's."""


@dataclass(frozen=True, slots=True)
class Channels:
    """One version of the protocol. text: numbers are digits and bytes base64, for clients that
    know only text. statuses: the error channel carries a metav1.Status, as of v4. closes: a
    message may close a channel, as of v5."""

    name: str
    text: bool = False
    statuses: bool = False
    closes: bool = False

    def encode(self, channel: int, data: bytes) -> bytes:
        if self.text:
            return b"%d%b" % (channel, base64.b64encode(data))
        return bytes((channel,)) + data

    def decode(self, message: bytes) -> tuple[int, bytes]:
        """(channel, data); an empty message is stdin's, without bytes. Raises BadMessage."""
        if not message:
            return STDIN, b""
        if not self.text:
            return message[0], message[1:]
        try:
            return int(message[:1]), base64.b64decode(message[1:], validate=True)
        except (ValueError, binascii.Error) as error:
            raise BadMessage(f"not a base64 message of {self.name}: {error}") from None

    def ending(self, code: int | None) -> bytes:
        """What the error channel says of a command that ended; empty if it says nothing."""
        if not self.statuses:
            return f"command terminated with exit code {code}".encode() if code else b""
        return orjson.dumps(exit_status(code or 0))

    def failing(self, message: str) -> bytes:
        """What the error channel says if the talk itself failed."""
        if not self.statuses:
            return message.encode()
        return orjson.dumps({
            "metadata": {}, "status": "Failure", "reason": "InternalError",
            "message": message, "code": 500,
        })  # fmt: skip


PROTOCOLS = {
    one.name: one
    for one in (
        Channels("v5.channel.k8s.io", statuses=True, closes=True),
        Channels("v4.channel.k8s.io", statuses=True),
        Channels("v4.base64.channel.k8s.io", text=True, statuses=True),
        Channels("channel.k8s.io"),
        Channels("base64.channel.k8s.io", text=True),
        Channels(""),
    )
}


def exit_status(code: int) -> dict[str, Any]:
    """metav1.Status of a command's end; clients read the code from the cause."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }  # fmt: skip


def read_size(data: bytes) -> tuple[int, int] | None:
    """Columns and rows of a resize message; None if it says nothing sensible."""
    try:
        said = orjson.loads(data)
        width, height = said["Width"], said["Height"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    proper = all(type(one) is int and 0 < one < 65536 for one in (width, height))
    return (width, height) if proper else None
