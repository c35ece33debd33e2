"""What all that looks after a node's resources shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from longshore.base.clock import Clock
from longshore.base.metrics import Counter
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.events import Recorder
from longshore.machinery.kubelet.lifecycle.model import Verdict
from longshore.machinery.kubelet.resource_settings import ResourceSettings
from longshore.machinery.kubelet.resources.gauges import Gauges
from longshore.machinery.kubelet.resources.meter import OnNode
from longshore.machinery.runtime.protocol import Container, Runtime


class PodHere(OnNode, Protocol):
    """A pod of the node, which can be ended."""

    @property
    def condemned(self) -> bool: ...

    def condemn(self, verdict: Verdict) -> None: ...

    def log_path(self, container: Container) -> str: ...


class Registered(Protocol):
    """The node as the API server has it."""

    @property
    def node(self) -> Doc: ...

    def hurry(self) -> None:
        """Report the node's status soon: it is another."""


@dataclass(frozen=True, slots=True)
class Around:
    """One node. pods() are those that are on it, ended ones too; gauges() are asked anew every time;
    evictions count by signal."""

    config: KubeletConfig
    runtime: Runtime
    clock: Clock
    recorder: Recorder
    registered: Registered
    gauges: Callable[[], Gauges]
    pods: Callable[[], Iterable[PodHere]]
    evictions: Counter

    @property
    def settings(self) -> ResourceSettings:
        return self.config.resources
