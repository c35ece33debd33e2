"""How audit-config finds out what servers agree to, and who listens."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.cluster.audit_config import handshakes, tries
from longshore.cluster.audit_config.handshakes import Place
from longshore.cluster.audit_config.listeners import listeners
from longshore.core.pki.authority import Authority
from longshore.core.pki.tls import server_context


@contextmanager
def tls_server(directory: Path, loose: bool) -> Iterator[Place]:
    """Shakes hands with everybody, and as of old if it is loose."""
    authority = Authority(directory, SystemClock())
    context = server_context(authority.server("server", ["127.0.0.1"]), authority.pair.certificate)
    if loose:
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_shake, args=(listener, context))
    thread.start()
    try:
        yield Place("127.0.0.1", listener.getsockname()[1], authority.pair.certificate)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _shake(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()


def test_handshakes_show_what_a_server_agrees_to(tmp_path: Path) -> None:
    with tls_server(tmp_path, loose=False) as place:
        assert handshakes.verified(place)[0]
        assert handshakes.verified(place)[1].startswith("TLSv1.3 ")
        assert handshakes.old_protocol(place) == ""
        assert handshakes.weak_cipher(place) == ""
        with tries.foreigner(SystemClock()) as foreign:
            stranger = Authority(foreign.certificate.parent, SystemClock()).pair.certificate
            assert handshakes.verified(replace(place, authority=stranger)) == (False, "")
    assert not handshakes.listens(place)


def test_a_server_of_old_is_found_out(tmp_path: Path) -> None:
    with tls_server(tmp_path, loose=True) as place:
        assert (handshakes.old_protocol(place) or "").startswith("TLSv1.1 ")


def test_who_listens_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        mine = f"127.0.0.1:{listener.getsockname()[1]}"
        assert mine in (listeners(os.getpid()) or [])
    assert mine not in (listeners(os.getpid()) or [])
    assert listeners(2**22 + 1) is None
