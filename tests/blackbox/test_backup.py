"""A cluster that is backed up while it works, taken back, and found again by those who watch it; and
its Secrets, which no file of it shows."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from longshore.base.clock import SystemClock
from longshore.cluster.backup import form
from longshore.core.objects import kinds
from longshore.core.objects.errors import Expired
from longshore.core.objects.kinds import Doc
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context
from longshore.core.registry.client import Create, Feed
from longshore.doors.kubernetes.client import HttpClient

from .conftest import started
from .driver import Cluster, eventually

pytestmark = pytest.mark.slow

CANARY = "canary7c1f"
BACKUPS = int(os.environ.get("LONGSHORE_BACKUPS", "5"))


@pytest.fixture
def own(short_root: Path) -> Iterator[Cluster]:
    """A cluster that may be stopped."""
    cluster = started("bk", short_root, "--hollow")
    try:
        yield cluster
    finally:
        cluster.longshore("down")


def client_of(cluster: Cluster) -> HttpClient:
    pki = cluster.root / cluster.name / "pki"
    context = client_context(Pair.named(pki, "admin"), pki / "ca.crt")
    return HttpClient([cluster.server], context, SystemClock())


def config_map(name: str) -> Doc:
    return {"metadata": {"name": name, "namespace": "default"}, "data": {"x": "y" * 500}}


async def in_thread(cluster: Cluster, verb: str, *words: str) -> str:
    return await asyncio.to_thread(cluster.longshore, verb, *words)


async def test_backups_under_load_have_no_gap(own: Cluster, tmp_path: Path) -> None:
    """One writer makes maps 0, 1, 2 ... each after the one before was acknowledged: a backup has the
    first so many of them, and what was acknowledged before it began."""
    client, done, acknowledged = client_of(own), asyncio.Event(), 0

    async def load() -> None:
        nonlocal acknowledged
        while not done.is_set():
            await client.write(Create(kinds.CONFIG_MAP, config_map(str(acknowledged))))
            acknowledged += 1

    async with asyncio.TaskGroup() as crew:
        crew.create_task(load())
        for number in range(BACKUPS):
            before, file = acknowledged, tmp_path / f"{number}"
            told = json.loads(await in_thread(own, f"backup {file} --json"))
            found = {record.key for record in form.records(file)}
            assert form.verified(file).revision == told["revision"]
            maps = {int(key.rpartition("/")[2]) for key in found if key.startswith(
                "/core/configmaps/default/") and key[-1].isdigit()}  # fmt: skip
            assert maps == set(range(len(maps))) and before <= len(maps) <= acknowledged
            assert acknowledged > before, "nothing was written meanwhile"
        done.set()
    client.close()


async def test_a_client_that_watches_finds_its_way_after_a_restore(
    own: Cluster, tmp_path: Path
) -> None:
    client, file = client_of(own), tmp_path / "b"
    await client.write(Create(kinds.CONFIG_MAP, config_map("kept")))
    own.longshore(f"backup {file}")
    await client.write(Create(kinds.CONFIG_MAP, config_map("gone")))
    listing, feed = await client.list_and_watch(kinds.CONFIG_MAP, namespace="default")
    assert {"kept", "gone"} <= {doc["metadata"]["name"] for doc in listing.items}
    async with asyncio.TaskGroup() as crew:
        hearing = crew.create_task(_until_expired(feed))
        await in_thread(own, "stop")
        told = json.loads(await in_thread(own, f"restore {file} --json"))
        await in_thread(own, "start")
        await hearing
    again, feed = await client.list_and_watch(kinds.CONFIG_MAP, namespace="default")
    names = {doc["metadata"]["name"] for doc in again.items}
    assert "kept" in names and "gone" not in names
    assert again.revision > told["revision"] > listing.revision
    made = await client.write(Create(kinds.CONFIG_MAP, config_map("gone")))
    assert int(made["metadata"]["resourceVersion"]) > again.revision
    (change,) = await feed.next_batch()
    assert change.doc["metadata"]["name"] == "gone"
    feed.close()
    client.close()


async def _until_expired(feed: Feed) -> None:
    try:
        while True:
            await feed.next_batch()
    except Expired:
        return


async def test_restoring_a_running_cluster_is_refused(own: Cluster, tmp_path: Path) -> None:
    own.longshore(f"backup {tmp_path / 'b'}")
    refused = own.longshore(f"restore {tmp_path / 'b'}", code=2)
    assert "'bk' is running: longshore stop --name bk first" in refused


def _files_with(home: Path, text: str) -> list[str]:
    forms = (text.encode(), base64.b64encode(text.encode()))
    return [
        str(file.relative_to(home))
        for file in home.rglob("*")
        if file.is_file() and any(form in file.read_bytes() for form in forms)
    ]


async def test_no_file_shows_a_secret_and_its_key_is_changed_meanwhile(
    own: Cluster, tmp_path: Path
) -> None:
    home = own.root / own.name
    own.kubectl("create", "secret", "generic", "s", f"--from-literal=x={CANARY}")
    own.kubectl("create", "configmap", "c", "--from-literal=x=seen7c1f")
    assert _files_with(home, CANARY) == [] and "state/store.db-wal" in _files_with(home, "seen7c1f")
    config = yaml.safe_load((home / "encryption.yaml").read_text())
    keys = config["resources"][0]["providers"][0]["aesgcm"]["keys"]
    new = {"name": "second", "secret": base64.b64encode(os.urandom(32)).decode()}
    keys.insert(0, new)
    (home / "encryption.yaml").write_text(yaml.safe_dump(config))

    def rewrite() -> None:
        own.kubectl("replace", "-f", "-", stdin=own.kubectl("get", "secrets", "-A", "-o", "json"))

    def has_new_key() -> bool:
        file = tmp_path / "b"
        own.longshore(f"backup {file}")
        values = [r.value for r in form.records(file) if r.key.startswith("/core/secrets/")]
        assert not any(CANARY.encode() in r.value for r in form.records(file))
        return all(value.startswith(b"k8s:enc:aesgcm:v1:second:") for value in values)

    # A backup is sealed when it is made: it shows the key of now, not that of what is in the store.
    await eventually(has_new_key, "the server seals with the new key")
    rewrite()
    del keys[1]
    (home / "encryption.yaml").write_text(yaml.safe_dump(config))
    own.longshore("stop")
    assert _files_with(home, CANARY) == []
    own.longshore("start")
    shown = own.kubectl("get", "secret", "s", "-o", "jsonpath={.data.x}")
    assert base64.b64decode(shown).decode() == CANARY
    keys[0]["name"] = "third"
    (home / "encryption.yaml").write_text(yaml.safe_dump(config))
    own.longshore("stop")
    refused = own.longshore("start", code=2)
    assert "with the key 'second', which no provider of its resource has" in refused
    keys[0]["name"] = "second"
    (home / "encryption.yaml").write_text(yaml.safe_dump(config))
    own.longshore("start")
