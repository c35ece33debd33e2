"""The autoscaler of nodes as a server runs it."""

from __future__ import annotations

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.base.users import loop_user
from longshore.cluster.autoscale.local import LocalProvider
from longshore.cluster.autoscale.look import Looking
from longshore.cluster.config import Autoscaling, ClusterConfig, ClusterPaths
from longshore.cluster.settings import scheduling
from longshore.core.registry.client import Client, DeleteOptions
from longshore.core.registry.eviction import Evictions
from longshore.core.registry.registry import Registry
from longshore.machinery.controllers.nodegroups.hands import Hands
from longshore.machinery.controllers.nodegroups.metrics import ScalingMetrics
from longshore.machinery.controllers.nodegroups.protocol import Evict, Tools
from longshore.machinery.controllers.nodegroups.run import NodeGroups
from longshore.machinery.loop.loop import Loop
from longshore.machinery.loop.recorder import Recorder


class Autoscaler:
    """Of a cluster with an Autoscaling. metrics outlive its terms."""

    def __init__(
        self, config: ClusterConfig, paths: ClusterPaths, sizes: Autoscaling, registry: Registry
    ) -> None:
        self._config, self._paths, self._sizes = config, paths, sizes
        self._registry = registry
        self.metrics = ScalingMetrics()

    def loop(self, client: Client, clock: Clock, chance: Chance, recorder: Recorder) -> Loop[str]:
        """A new one, ready to run."""
        cache = self._registry.cache
        look = Looking(cache, clock, scheduling.profiles_of(self._paths))
        provider = LocalProvider(self._config, self._paths, self._sizes, cache)
        tools = Tools(provider, look, evicting(self._registry, clock))
        rules = self._sizes.rules
        hands = Hands(cache, client, clock, recorder, tools, rules, self.metrics)
        return Loop(NodeGroups(hands), cache, clock, chance)


def evicting(registry: Registry, clock: Clock) -> Evict:
    """Evictions by the server itself, as budgets allow."""
    evictions, who = Evictions(registry, clock), loop_user("nodegroups")

    async def evict(namespace: str, name: str, uid: str, grace_s: int) -> None:
        options = DeleteOptions(grace_s=grace_s, uid=uid)
        await evictions.evict(who, namespace, name, options, dry_run=False)

    return evict
