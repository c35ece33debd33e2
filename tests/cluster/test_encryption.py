"""EncryptionConfiguration: what is read, what is refused by name, and a cluster's own keys."""

from __future__ import annotations

import asyncio
import base64
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from longshore.base.chance import Chance
from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.cluster.settings import encryption
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.memory import MemoryStore
from longshore.core.store.protocol import Write
from longshore.core.store.sealed import SealedStore
from longshore.core.store.sealing import Sealing
from longshore.testing.clock import VirtualClock
from tests.core.registry.conftest import ADMIN
from tests.core.store.test_sealed import CANARY, NEW, OLD, SECRET, contents


def key(name: str, secret: bytes = b"k" * 32) -> Doc:
    return {"name": name, "secret": base64.b64encode(secret).decode()}


def aesgcm(*keys: Doc) -> Doc:
    return {"aesgcm": {"keys": list(keys)}}


def rules(file: Path, *each: tuple[Any, Any]) -> Path:
    """A configuration of (resources, providers)."""
    listed = [{"resources": list(names), "providers": providers} for names, providers in each]
    doc = {"apiVersion": encryption.API_VERSION, "kind": "EncryptionConfiguration"}
    file.write_text(yaml.safe_dump({**doc, "resources": listed}))
    return file


def written(file: Path, providers: Any, resources: Any = ("secrets",)) -> Path:
    return rules(file, (resources, providers))


def test_resources_are_named_as_upstream_names_them(tmp_path: Path) -> None:
    def prefixes(*resources: str) -> tuple[str, ...]:
        return encryption.read(written(tmp_path / "e", [aesgcm(key("a"))], resources)).prefixes

    assert prefixes("secrets", "configmaps") == ("/core/secrets/", "/core/configmaps/")
    assert prefixes("deployments.apps") == ("/apps/deployments/",)
    assert {"/apps/deployments/", "/apps/daemonsets/"} <= set(prefixes("*.apps"))
    assert all(prefix.startswith("/core/") for prefix in prefixes("*."))
    assert {"/core/pods/", "/apps/deployments/"} <= set(prefixes("*.*"))


def test_the_first_rule_about_a_resource_counts(tmp_path: Path) -> None:
    first, rest = [aesgcm(key("first"))], [aesgcm(key("rest")), {"identity": {}}]
    read = encryption.read(rules(tmp_path / "e", (["secrets"], first), (["*.*"], rest)))
    assert read.ciphers(SECRET)[0].header == b"k8s:enc:aesgcm:v1:first:"
    assert read.ciphers("/core/pods/n/a")[0].header == b"k8s:enc:aesgcm:v1:rest:"


@pytest.mark.parametrize(
    ("providers", "why"),
    [
        ([], r"resources\[0\]\.providers: Required value"),
        ([{"aescbc": {"keys": []}}], r"providers\[0\]\.aescbc: Unsupported value: .*padding"),
        ([{"secretbox": {}}], r"\.secretbox: Unsupported value: .*use aesgcm"),
        ([{"identity": {}}, {"kms": {}}], r"providers\[1\]\.kms: Unsupported value"),
        ([{"rot13": {}}], "Unsupported value: 'rot13'"),
        ([{"identity": {}, **aesgcm(key("a"))}], "a provider is one of"),
        ([aesgcm()], r"aesgcm\.keys: Required value"),
        ([aesgcm({"secret": "aaaa"})], r"keys\[0\]\.name: Required value"),
        ([aesgcm(key("a:b"))], "keys.0..name: Invalid value: 'a:b'"),
        ([aesgcm({"name": "a", "secret": "%"})], "must be base64 encoded"),
        ([aesgcm(key("a", b"short"))], r"got 5, expected one of \[16, 24, 32\]"),
        ([aesgcm(key("a")), aesgcm(key("a"))], "Duplicate value"),
    ],
)
def test_wrong_providers_are_refused_by_name(tmp_path: Path, providers: Any, why: str) -> None:
    with pytest.raises(ClusterError, match=why):
        encryption.read(written(tmp_path / "e", providers))


@pytest.mark.parametrize("name", ["secret", "*", "secrets.apps", "secrets.*", "bindings"])
def test_resources_that_are_not_kept_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClusterError, match=r"resources\[0\]\.resources\[0\]: Invalid value"):
        encryption.read(written(tmp_path / "e", [aesgcm(key("a"))], [name]))


@pytest.mark.parametrize("text", ["", "{", "kind: Config", "\x00"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "e").write_text(text)
    with pytest.raises(ClusterError, match="--encryption-config"):
        encryption.read(tmp_path / "e")


def test_a_message_never_has_a_secret(tmp_path: Path) -> None:
    with pytest.raises(ClusterError) as refused:
        encryption.read(written(tmp_path / "e", [aesgcm(key("a", b"canary" * 3))]))
    assert base64.b64encode(b"canary" * 3).decode() not in str(refused.value)


def test_a_cluster_makes_a_key_of_its_own_once(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path, "c")
    paths.create()
    first = encryption.of_cluster(paths).ciphers(SECRET)[0]
    assert stat.S_IMODE(paths.encryption.stat().st_mode) == 0o600
    assert encryption.of_cluster(paths).ciphers(SECRET)[0].header == first.header
    sealed = first.seal(SECRET, CANARY)
    assert encryption.of_cluster(paths).ciphers(SECRET)[0].unseal(SECRET, sealed) == CANARY


async def test_the_file_is_followed_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    file, clock, below = tmp_path / "e", VirtualClock(), MemoryStore()
    store = SealedStore(below, encryption.read(written(file, [aesgcm(key("old"))])))
    await store.commit([Write(SECRET, CANARY, 0)])
    async with asyncio.TaskGroup() as crew:
        following = crew.create_task(encryption.follow(file, store, clock))
        await _change_the_file(file, store, below, clock)
        following.cancel()


async def _change_the_file(
    file: Path, store: SealedStore, below: MemoryStore, clock: VirtualClock
) -> None:
    await clock.advance(3)
    written(file, [aesgcm(key("new"))])  # cannot read what is there
    await clock.advance(3)
    assert not store.outdated(SECRET)
    written(file, [aesgcm(key("new", b"n" * 32), key("old"))])
    await clock.advance(3)
    assert store.outdated(SECRET)
    await store.commit([Write(SECRET, CANARY, 1)])
    assert (await contents(below))[SECRET].startswith(b"k8s:enc:aesgcm:v1:new:")
    file.unlink()
    await clock.advance(3)
    assert (await contents(store))[SECRET] == CANARY


async def test_replacing_an_object_by_itself_writes_it_with_the_new_key() -> None:
    """What kubectl get -o json | kubectl replace -f - does; with the newest key it writes nothing."""
    below = MemoryStore()
    store = SealedStore(below, Sealing({"/core/secrets/": (OLD,)}))
    config = RegistryConfig(outdated=store.outdated)
    registry = Registry(store, VirtualClock(), Chance.seeded(1), config)
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        await _replace_by_itself(registry, store, below)
        running.cancel()


async def _replace_by_itself(registry: Registry, store: SealedStore, below: MemoryStore) -> None:
    name: Doc = {"metadata": {"name": "n"}}
    await registry.create(ADMIN, kinds.NAMESPACE, name)
    secret: Doc = {"metadata": {"name": "a"}, "stringData": {"x": "canary"}}
    first, _ = await registry.create(ADMIN, kinds.SECRET, secret, namespace="n")

    async def replaced() -> int:
        ref = Ref(kinds.SECRET, "n", "a")
        there = registry.cache.shelf(kinds.SECRET).get(ref.key)
        assert there is not None
        return (await registry.update(ADMIN, ref, there.fresh()))[0].revision

    assert await replaced() == first.revision
    store.turn_to(Sealing({"/core/secrets/": (NEW, OLD)}))
    again = await replaced()
    assert again > first.revision
    assert (await contents(below))[SECRET].startswith(NEW.header)
    assert await replaced() == again
