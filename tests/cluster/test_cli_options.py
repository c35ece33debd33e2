"""What commands say of other commands."""

from __future__ import annotations

from pathlib import Path

from longshore.cli.options import chosen


def test_a_command_that_is_named_finds_the_same_cluster() -> None:
    assert chosen("default", None) == ""
    assert chosen("night", None) == " --name night"
    assert chosen("night", Path("/srv/c")) == " --name night --root /srv/c"
