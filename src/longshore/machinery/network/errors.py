"""What can go wrong below the network.

NetworkFailure
├── NetlinkFailure      the kernel refused a link, address, route or neighbour
├── NamespaceFailure    a namespace could not be made, entered or removed
├── NftFailure          a transaction of nftables rules was refused
├── AddressesExhausted  every address of the node's pod range is in use
└── UplinkFailure       pasta could not be started
"""

from __future__ import annotations

import errno
import os
import socket
import ssl


class NetworkFailure(Exception):
    """Something the machine refused; the text is one sentence for a person."""


class NetlinkFailure(NetworkFailure):
    """code is the kernel's errno; what says which request it was."""

    def __init__(self, code: int, what: str) -> None:
        name = errno.errorcode.get(code, str(code))
        super().__init__(f"{what}: {os.strerror(code)} ({name})")
        self.code = code


class NamespaceFailure(NetworkFailure): ...


class NftFailure(NetworkFailure): ...


class AddressesExhausted(NetworkFailure): ...


class UplinkFailure(NetworkFailure): ...


def unreached(error: OSError, host: str, port: int) -> str:
    """Why nobody answered there, as Go's net package says it: `dial tcp 10.42.1.2:80: connect: connection
    refused` is what upstream's programs print, and what people search for."""
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(error, ssl.SSLError) or error.errno is None:
        return str(error)
    return f"dial tcp {host}:{port}: connect: {os.strerror(error.errno).lower()}"
