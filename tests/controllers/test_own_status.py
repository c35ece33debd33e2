"""What a controller writes is no news to it; what others write is."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.machinery.controllers.run_all import ControllerConfig
from longshore.machinery.loop.metrics import WorkQueues

from .world import deployment, running


@pytest.mark.parametrize("kind", [kinds.REPLICA_SET, kinds.REPLICATION_CONTROLLER])
async def test_only_what_others_write_is_looked_at(kind: Kind) -> None:
    queues = WorkQueues()
    names = {"ReplicaSet": "replicaset", "ReplicationController": "replicationmanager"}
    looks = queues.meter(names[kind.name])
    async with running(ControllerConfig(queues=queues)) as world:
        await world.create(kind, _empty(kind))
        await world.play()
        said = world.get(kind, "web")["status"]
        assert (said, looks.adds) == ({"replicas": 0, "observedGeneration": 1}, 1)
        await world.patch(kind, "web", {"status": {"observedGeneration": 7}}, "status")
        await world.play()
        assert (world.get(kind, "web")["status"], looks.adds) == (said, 2)


def _empty(kind: Kind) -> Doc:
    doc = deployment(replicas=0)
    if kind is kinds.REPLICATION_CONTROLLER:
        doc["spec"]["selector"] = doc["spec"]["selector"]["matchLabels"]
    return doc
