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
