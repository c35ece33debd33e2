"""The API on an etcd store: what a client sees does not depend on what is below."""

from __future__ import annotations

import itertools

import pytest

from longshore.base.clock import SystemClock
from longshore.core.store.etcd.members import Members
from longshore.core.store.etcd.store import EtcdStore, Naming
from tests.core.store.etcds import Cluster
from tests.doors.rig import config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"


async def test_objects_lists_and_watches(etcd: Cluster, request: pytest.FixtureRequest) -> None:
    clock, naming = SystemClock(), Naming(prefix=f"/{request.node.name}")
    members = Members(etcd.endpoints, clock)
    async with kube(store=EtcdStore(members, clock, naming)) as k:
        made = (await k("POST", MAPS, config_map("a", x="1"))).doc
        version = made["metadata"]["resourceVersion"]
        watcher = await k.watch(f"{MAPS}?watch=1&resourceVersion={version}")
        await k("POST", MAPS, config_map("b", x="1"))
        stale = {**made, "metadata": {**made["metadata"], "resourceVersion": str(int(version) - 1)}}
        assert (await k("PUT", f"{MAPS}/a", stale)).status == 409
        assert (await k("PUT", f"{MAPS}/a", {**made, "data": {"x": "2"}})).status == 200
        assert (await k("POST", MAPS, config_map("b", x="1"))).status == 409
        assert (await k("DELETE", f"{MAPS}/b")).status == 200
        seen = [await watcher.seen() for _ in range(3)]
        assert [(event, name) for event, name, _ in seen] == [
            ("ADDED", "b"),
            ("MODIFIED", "a"),
            ("DELETED", "b"),
        ]
        versions = [int(version), *(at for _, _, at in seen)]
        assert all(before < after for before, after in itertools.pairwise(versions))
        listed = (await k("GET", MAPS)).doc
        assert [item["data"] for item in listed["items"]] == [{"x": "2"}]
        await watcher.close()
    await members.close()
