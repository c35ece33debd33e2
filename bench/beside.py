"""How long others wait for one object while somebody reads long lists: from threads of this process,
whose reading lets the interpreter go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
import time
from dataclasses import dataclass

from longshore.doors.kit.fetch import Pool


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is, and the list that is read there."""

    port: int
    tls: ssl.SSLContext
    path: str


async def longest_waits(place: Place, pool: Pool, one: str, seconds: float) -> list[float]:
    """Seconds that each request for one object took, in order of their length, while one client
    reads lists as fast as it can and another reads nothing of its own."""
    over = threading.Event()
    waits: list[float] = []
    async with asyncio.TaskGroup() as crew:
        for read in (_read_all, _stall):
            crew.create_task(asyncio.to_thread(read, place, over))
        end = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end:
            await pool.fetch("GET", one, {})
            waits.append(time.perf_counter() - begun)
        over.set()
    return sorted(waits)


def _read_all(place: Place, over: threading.Event) -> None:
    # Who reads long lists shall not keep the one who waits from its turn on this side.
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    buffer = bytearray(256 * 1024)
    while not over.is_set():
        with _asked(place) as connection:
            while connection.recv_into(buffer) and not over.is_set():
                pass


def _stall(place: Place, over: threading.Event) -> None:
    with _asked(place):
        over.wait()


def _asked(place: Place) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", place.port))
    connection = place.tls.wrap_socket(
        plain, server_hostname="localhost", suppress_ragged_eofs=True
    )
    with contextlib.suppress(ssl.SSLEOFError):
        connection.sendall(
            f"GET {place.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
    return connection
