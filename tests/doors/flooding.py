"""A client that floods a server, as a process of its own: python -m tests.doors.flooding PORT
CONNECTIONS PATH USER. Every connection asks again as soon as it is answered, until the input ends.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from collections import Counter


class Asker:
    """One connection that always has one request under way."""

    def __init__(self, port: int, request: bytes, statuses: Counter[str]) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self._request = request
        self._statuses = statuses
        self._got = b""

    def ask(self) -> None:
        self.sock.sendall(self._request)

    def read(self) -> None:
        """Take what has come; ask again once it is whole."""
        self._got += self.sock.recv(1 << 20)
        head, found, body = self._got.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if found and len(body) >= int(length):
            self._statuses[head.split()[1].decode()] += 1
            self._got = b""
            self.ask()


def main(port: str, connections: str, path: str, user: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-User: {user}\r\n\r\n".encode()
    statuses: Counter[str] = Counter()
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        for _ in range(int(connections)):
            asker = Asker(int(port), request, statuses)
            selector.register(asker.sock, selectors.EVENT_READ, asker)
            asker.ask()
        print("flooding", flush=True)
        while not _ended(selector):
            pass
    print(json.dumps(statuses), flush=True)


def _ended(selector: selectors.BaseSelector) -> bool:
    for key, _ in selector.select():
        if key.data is None:
            return True
        key.data.read()
    return False


if __name__ == "__main__":
    main(*sys.argv[1:])
