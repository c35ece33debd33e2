"""Files, and what goes wrong with them in words."""

from __future__ import annotations

import errno
import os
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
