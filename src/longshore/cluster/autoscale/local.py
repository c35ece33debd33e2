"""The provider of a local cluster: one group, whose machines are its namespaced or hollow nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from longshore.cluster.client.probe import is_ready
from longshore.cluster.config import Autoscaling, ClusterConfig, ClusterError, ClusterPaths
from longshore.cluster.nodes import roster
from longshore.cluster.nodes.hollow import in_server, tell_server
from longshore.cluster.nodes.provisioner import ask
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.nodegroups.protocol import NodeGroup, ProviderFailure

GROUP = "local"
# Labels that every new node has; what people added to one is its own.
_OWN = ("kubernetes.io/", "beta.kubernetes.io/", "node.kubernetes.io/")


class LocalProvider:
    """The Provider. A new node is as those that are there: they share the machine."""

    def __init__(
        self, config: ClusterConfig, paths: ClusterPaths, sizes: Autoscaling, cache: Cache
    ) -> None:
        self._config, self._paths = config, paths
        self._sizes, self._cache = sizes, cache
        self._template: Doc | None = None

    async def groups(self) -> Sequence[NodeGroup]:
        self._config = await asyncio.to_thread(self._paths.load)
        names = tuple(self._config.node_names)
        return [NodeGroup(GROUP, self._sizes.min_size, self._sizes.max_size, names)]

    async def increase(self, group: str, count: int) -> None:
        if not in_server(self._config):
            return await self._ask({"add": count})
        await self._change(partial(_with_more, count=count))

    async def delete(self, nodes: Sequence[str]) -> None:
        if not in_server(self._config):
            return await self._ask({"remove": list(nodes)})
        await self._change(partial(roster.without_nodes, names=nodes))

    def template(self, group: str) -> Doc | None:
        """As a node of it that is ready, else as the last that was."""
        for name in self._config.node_names:
            node = self._cache.get(kinds.NODE, "", name)
            if node is not None and is_ready(node):
                self._template = _like(node)
                break
        return self._template

    async def _ask(self, question: dict[str, object]) -> None:
        if why := await ask(question):
            raise ProviderFailure(why)

    async def _change(self, changed: roster.Changed) -> None:
        """Of hollow nodes, which are made when cluster.json has them."""
        try:
            _, config = await asyncio.to_thread(roster.change, self._paths, changed)
        except (ClusterError, OSError) as error:
            raise ProviderFailure(str(error)) from error
        tell_server(config, self._paths)


def _with_more(config: ClusterConfig, count: int) -> ClusterConfig:
    return roster.with_nodes(config, roster.fresh_names(config, count))


def _like(node: Doc) -> Doc:
    metadata, status = node["metadata"], node["status"]
    labels = metadata.get("labels") or {}
    own = {key: value for key, value in labels.items() if key.startswith(_OWN)}
    return {
        "metadata": {"name": metadata["name"], "labels": own},
        "spec": {},
        "status": {key: status[key] for key in ("capacity", "allocatable", "nodeInfo")},
    }
