"""Files, and what goes wrong with them in words."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from pathlib import Path

import pytest

from longshore.base.files import told


def test_an_error_of_the_system_is_told_without_its_number(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Errno") as caught:
        (tmp_path / "there" / "not").touch()
    assert told(caught.value) == f"{tmp_path}/there/not: no such file or directory"
    assert told(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) == "no space left on device"


def test_other_errors_are_told_as_they_are() -> None:
    assert told(OSError("half a word")) == "half a word"
    assert told(ValueError("a whole one")) == "a whole one"
    assert told(TimeoutError()) == ""


def test_numbers_of_others_than_the_system_say_nothing() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    assert "certificate verify failed" in told(error)
    assert told(socket.gaierror(-2, "Name or service not known")).endswith("service not known")
