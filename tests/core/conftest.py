"""One etcd for all tests of a run that only need one; each has a prefix of its own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.store.etcds import PROGRAM, Cluster, running


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if PROGRAM is None:
        pytest.skip(
            "etcd is missing (tools/bootstrap test installs it as root): its part of the suite is left out"
        )
    with running(
        tmp_path_factory.mktemp("etcd"), arguments=["--auto-compaction-retention=0"]
    ) as one:
        yield one
