"""What is asked and shown when a connection is made. Handshakes are real, between two buffers."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.pki.authority import Authority
from longshore.core.pki.tls import client_context, server_context


class Line:
    """A client and a server, each with what the other wrote."""

    def __init__(
        self, client: ssl.SSLContext, server: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> None:
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(back, there, server_hostname="localhost", session=session)
        self.server = server.wrap_bio(there, back, server_side=True)

    def shake(self) -> None:
        for _ in range(4):
            for side in (self.client, self.server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        self.server.write(b"hello")
        assert self.client.read(5) == b"hello"  # tickets, if there are any, come before this


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = Authority(tmp_path, SystemClock())
    serving = authority.server("server", ["localhost"])
    showing = authority.client("client", "jane", ["system:masters"])
    ca = tmp_path / "ca.crt"
    return client_context(showing, ca), server_context(serving, ca)


def test_every_connection_shows_its_certificate_anew(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    client, server = contexts
    first = Line(client, server)
    first.shake()
    second = Line(client, server, first.client.session)
    second.shake()
    assert second.client.version() == "TLSv1.3"
    assert not second.client.session_reused
    shown = second.server.getpeercert()
    assert shown is not None
    assert (("commonName", "jane"),) in shown["subject"]


def test_a_stranger_s_certificate_is_turned_away(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], tmp_path: Path
) -> None:
    other = Authority(_made(tmp_path / "other"), SystemClock())
    stranger = client_context(other.client("client", "jane", []), tmp_path / "ca.crt")
    with pytest.raises(ssl.SSLError, match=r"CERTIFICATE_VERIFY_FAILED|UNKNOWN_CA"):
        Line(stranger, contexts[1]).shake()


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
