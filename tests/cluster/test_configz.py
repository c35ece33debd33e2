"""By which profiles a server's scheduler goes, as whoever asks is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from longshore.base.users import User
from longshore.cluster.client.configz import told
from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.cluster.settings import scheduling
from longshore.core.objects.kinds import Doc
from longshore.doors.kubernetes.door import DoorConfig
from longshore.machinery.scheduler.profile import PROFILES, Profile, Strategy
from tests.doors.rig import kube
from tests.doors.test_client import client_of

PACKING: Doc = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "profiles": [{
        "schedulerName": "packing",
        "pluginConfig": [{
            "name": "NodeResourcesFit",
            "args": {"scoringStrategy": {
                "type": "MostAllocated", "resources": [{"name": "cpu", "weight": 1}],
            }},
        }],
    }],
}  # fmt: skip


async def asked(content: Mapping[str, Doc]) -> tuple[Mapping[str, Profile], str]:
    config = DoorConfig(configuration=lambda: content)
    async with kube(config=config) as ask, client_of(ask) as client:
        return await told(client)


async def test_what_the_server_was_given(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path, "c")
    paths.scheduler.parent.mkdir(parents=True, exist_ok=True)
    paths.scheduler.write_text(yaml.safe_dump(PACKING))
    found, note = await asked({scheduling.GROUP: scheduling.document_of(paths)})
    assert {name: one.strategy for name, one in found.items()} == {"packing": Strategy.MOST}
    assert note == ""


async def test_a_server_that_was_given_nothing_goes_by_the_default(tmp_path: Path) -> None:
    document = scheduling.document_of(ClusterPaths(tmp_path, "c"))
    found, note = await asked({scheduling.GROUP: document})
    assert list(found) == list(PROFILES)
    assert note == ""


async def test_a_server_that_does_not_tell() -> None:
    note = "judged by upstream's default profile: the server does not tell of its own at /configz"
    assert await asked({}) == (PROFILES, note)


async def test_what_is_told_may_be_of_another_version() -> None:
    later = {scheduling.GROUP: {**PACKING, "apiVersion": "v2"}}
    config = DoorConfig(configuration=lambda: later)
    async with kube(config=config) as ask, client_of(ask) as client:
        with pytest.raises(ClusterError, match="/configz: this is no KubeSchedulerConfiguration"):
            await told(client)


async def test_it_is_not_for_everybody() -> None:
    async with kube() as ask:
        assert (await ask("GET", "/configz")).status == 200
        assert (await ask("POST", "/configz")).status == 405
        ask.user = User("jane", ("system:authenticated",))
        assert (await ask("GET", "/configz")).status == 403
