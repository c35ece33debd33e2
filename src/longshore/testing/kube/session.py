"""Where the clusters of a test session come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from longshore.testing.kube import kubeconfig
from longshore.testing.kube.engine import Engine
from longshore.testing.kube.kube import Kube
from longshore.testing.kube.settings import Settings
from longshore.testing.kube.simulated import SimulatedBackend


class SimulatedSession:
    """An engine, and a fresh cluster on it for each test."""

    def __init__(self) -> None:
        self._engine = Engine()

    @contextmanager
    def cluster(self, settings: Settings, base: Path) -> Iterator[Kube]:
        """base is where the test's relative paths begin."""
        with ExitStack() as ending:
            backend = SimulatedBackend(self._engine, settings)
            ending.callback(backend.stop)
            ending.enter_context(kubeconfig.as_default(backend.kubeconfig))
            kube = Kube(backend, base)
            ending.callback(kube.close)
            yield kube

    def close(self) -> None:
        self._engine.close()
