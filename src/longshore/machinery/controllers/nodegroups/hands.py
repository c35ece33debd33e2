"""What the autoscaler of nodes works with."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.base.clock import Clock
from longshore.core.registry.client import Client
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.nodegroups.metrics import ScalingMetrics
from longshore.machinery.controllers.nodegroups.protocol import Tools
from longshore.machinery.controllers.nodegroups.rules import ScalingRules
from longshore.machinery.loop.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Hands:
    """tools are what the rest of the house hands in; metrics: where things are counted."""

    cache: Cache
    client: Client
    clock: Clock
    recorder: Recorder
    tools: Tools
    rules: ScalingRules
    metrics: ScalingMetrics
