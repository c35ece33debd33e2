"""Static pods: a directory of manifests is run by the node itself, and shown to the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import Unavailable
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import (
    Answers,
    Client,
    Delete,
    DeleteOptions,
    Feed,
    Listing,
    Operation,
    Patch,
)
from longshore.core.registry.inprocess import InProcess
from longshore.machinery.kubelet.config import LEASE_RENEW_S
from longshore.machinery.kubelet.static.manifests import static_pod
from longshore.machinery.kubelet.static.pods import BadManifest

from .docs import pod
from .world import NODE, World, until, world

NAME = f"web-{NODE}"
MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 7
  containers:
  - {name: main, image: registry.test/app:%s, env: [{name: UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}]}
"""
NOW = "2026-01-01T00:00:00Z"


class Away:
    """A client of a server that cannot be asked until it is open."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.open = False

    def _asked(self) -> Client:
        if not self.open:
            raise Unavailable("connection refused")
        return self._client

    async def get(self, kind: Kind, namespace: str, name: str) -> Doc:
        return await self._asked().get(kind, namespace, name)

    async def list(self, kind: Kind, namespace: str = "", **which: Any) -> Listing:
        return await self._asked().list(kind, namespace, **which)

    async def list_and_watch(
        self, kind: Kind, namespace: str = "", **which: Any
    ) -> tuple[Listing, Feed]:
        return await self._asked().list_and_watch(kind, namespace, **which)

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        return await self._asked().submit(operations)

    async def write(self, operation: Operation) -> Doc:
        return await self._asked().write(operation)


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "root") as made:
        made.static_pods = tmp_path / "static"
        made.static_pods.mkdir()
        yield made


def as_node(w: World) -> Away:
    """What the node itself may write, and no more."""
    client = Away(InProcess(w.registry, User(f"system:node:{NODE}", ("system:nodes",))))
    client.open = True
    return client


def ask_for(w: World, tag: str = "1", file: str = "web.yaml") -> Path:
    assert w.static_pods is not None
    path = w.static_pods / file
    path.write_text(MANIFEST % tag)
    return path


def mirror(w: World) -> Doc | None:
    return w.registry.cache.get(kinds.POD, "shop", NAME)


async def pass_by(w: World, seconds: float = 0.2) -> None:
    """The pause after a change of the directory goes by."""
    await w.clock.advance(seconds)


async def running(w: World, tag: str = "1") -> Doc:
    def shown() -> bool:
        doc = mirror(w)
        image = doc["spec"]["containers"][0]["image"] if doc else ""
        return image == f"registry.test/app:{tag}" and w.phase(NAME) == "Running"

    for _ in range(20):
        await pass_by(w)
        if shown():
            break
    await until(shown)
    found = mirror(w)
    assert found is not None
    return found


async def test_a_static_pod_runs_and_is_shown_by_a_mirror_that_a_node_may_make(w: World) -> None:
    ask_for(w)
    w.start_agent(as_node(w))
    shown = await running(w)
    annotations, owner = shown["metadata"]["annotations"], shown["metadata"]["ownerReferences"][0]
    assert annotations["kubernetes.io/config.source"] == "file"
    uid = annotations["kubernetes.io/config.hash"]
    assert annotations["kubernetes.io/config.mirror"] == uid
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Node", NODE, True)
    assert shown["spec"]["nodeName"] == NODE
    assert {"operator": "Exists", "effect": "NoExecute"} in shown["spec"]["tolerations"]
    assert w.ready(NAME)
    (spec,) = w.runtime.started
    assert dict(spec.env)["UID"] == uid
    assert [c.sandbox for c in await w.runtime.containers()] == [uid]


async def test_it_runs_without_an_api_server_and_is_shown_when_there_is_one(w: World) -> None:
    client = as_node(w)
    client.open = False
    ask_for(w)
    w.start_agent(client)
    await pass_by(w)
    await until(lambda: w.runtime.started)
    await pass_by(w, 5)
    assert mirror(w) is None
    client.open = True
    await running(w)
    assert len(w.runtime.started) == 1


async def test_a_mirror_that_is_deleted_is_made_again_and_the_pod_never_stops(w: World) -> None:
    ask_for(w)
    w.start_agent(as_node(w))
    first = (await running(w))["metadata"]["uid"]
    for grace in (0, 30):
        await w.client.write(Delete(kinds.POD, "shop", NAME, DeleteOptions(grace_s=grace)))
        again = await running(w)
        assert again["metadata"]["uid"] != first
        first = again["metadata"]["uid"]
        assert w.ready(NAME)
    assert (len(w.runtime.started), w.runtime.stops) == (1, [])


async def test_a_changed_manifest_ends_the_pod_before_the_new_one_starts(w: World) -> None:
    ask_for(w)
    w.start_agent(as_node(w))
    old = (await running(w))["metadata"]["annotations"]["kubernetes.io/config.hash"]
    w.runtime.stubborn = True
    ask_for(w, "2")
    await pass_by(w)
    await until(lambda: w.runtime.stops)
    assert w.runtime.stops[0][1] == pytest.approx(7.0)
    assert len(w.runtime.started) == 1, "two pods of one name ran side by side"
    await w.clock.advance(7.1)
    new = (await running(w, "2"))["metadata"]["annotations"]["kubernetes.io/config.hash"]
    assert new != old
    assert [c.sandbox for c in await w.runtime.containers()] == [new]


async def test_a_manifest_that_is_removed_takes_pod_and_mirror_with_it(w: World) -> None:
    path = ask_for(w)
    w.start_agent(as_node(w))
    await running(w)
    path.unlink()
    await pass_by(w)
    await until(lambda: mirror(w) is None)
    assert await w.runtime.containers() == []
    assert await w.runtime.sandboxes() == []
    assert len(w.network.attached()) == 0


async def test_a_new_agent_adopts_its_static_pods(w: World) -> None:
    ask_for(w)
    w.start_agent(as_node(w))
    uid = (await running(w))["metadata"]["uid"]
    await w.stop_agent()
    w.start_agent(as_node(w))
    await pass_by(w, 5)
    assert (await running(w))["metadata"]["uid"] == uid
    assert (len(w.runtime.started), w.runtime.stops) == (1, [])


async def test_a_manifest_that_changed_while_no_agent_ran_replaces_the_pod(w: World) -> None:
    ask_for(w)
    w.start_agent(as_node(w))
    await running(w)
    await w.stop_agent()
    ask_for(w, "2")
    away = as_node(w)
    away.open = False
    w.start_agent(away)
    await pass_by(w, 2)
    await until(lambda: len(w.runtime.started) == 2)
    assert len(await w.runtime.sandboxes()) == 1


async def test_a_mirror_of_nothing_is_removed(w: World) -> None:
    path = ask_for(w)
    w.start_agent(as_node(w))
    await running(w)
    await w.stop_agent()
    path.unlink()
    w.start_agent(as_node(w))
    await pass_by(w, 2)
    await until(lambda: mirror(w) is None)
    await until(lambda: len(w.network.attached()) == 0)


async def test_what_others_say_of_a_mirror_is_put_right(w: World) -> None:
    ask_for(w)
    w.start_agent(as_node(w))
    doc = await running(w)
    unready = [{**c, "status": "False"} for c in doc["status"]["conditions"]]
    patch = {"status": {"conditions": unready}}
    await w.client.write(Patch(kinds.POD, "shop", NAME, patch, "status"))
    await until(lambda: w.ready(NAME))


async def test_pods_of_the_api_live_beside_them_and_bad_files_are_left_out(
    w: World, caplog: pytest.LogCaptureFixture
) -> None:
    ask_for(w)
    ask_for(w, "3", file="web-again.yaml")
    assert w.static_pods is not None
    (w.static_pods / ".hidden").write_text("not looked at")
    (w.static_pods / "bad.yaml").write_text("kind: Service")
    w.start_agent(as_node(w))
    await w.run_pod(pod())
    await running(w, "3")
    await until(lambda: w.phase() == "Running")
    assert "another file has a pod named" in caplog.text
    assert "bad.yaml: invalid pod: not an object of apiVersion v1 and kind Pod" in caplog.text
    assert "hidden" not in caplog.text


async def test_a_pod_of_the_api_cannot_pass_for_a_static_one(w: World) -> None:
    ask_for(w)
    w.start_agent(as_node(w))
    await running(w)
    taint = {"spec": {"taints": [{"key": "closed", "effect": "NoExecute"}]}}
    await w.client.write(Patch(kinds.NODE, "", NODE, taint))
    doc = pod()
    doc["metadata"]["annotations"] = {"kubernetes.io/config.source": "file"}
    await w.clock.advance(LEASE_RENEW_S + 1)  # the agent has heard of its taint
    await w.run_pod(doc)
    await until(lambda: w.phase() == "Failed")
    assert w.status()["reason"] == "TaintToleration"
    ask_for(w, "2")
    await running(w, "2")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "invalid pod: while parsing"),
        ("kind: Pod\napiVersion: v1", "metadata.name and spec are required"),
        ("{kind: Pod, apiVersion: v1, metadata: {name: a}, spec: {containers: []}}", "containers"),
        (
            "{kind: Pod, apiVersion: v1, metadata: {name: a}, spec: {contain: [], x: 1}}",
            'unknown field "spec.contain"',
        ),
        (
            "{kind: Pod, apiVersion: v1, metadata: {name: a}, spec: {serviceAccountName: x, "
            "containers: [{name: a, image: b}]}}",
            "static pods may not reference serviceaccounts",
        ),
        (
            "{kind: Pod, apiVersion: v1, metadata: {name: a}, spec: {containers: [{name: a, image: b, "
            "envFrom: [{secretRef: {name: s}}]}]}}",
            "static pods may not reference secrets",
        ),
        (
            "{kind: Pod, apiVersion: v1, metadata: {name: a}, spec: {volumes: [{name: v, configMap: "
            "{name: c}}], containers: [{name: a, image: b}]}}",
            "static pods may not reference configmaps",
        ),
    ],
)
def test_what_a_node_cannot_run_by_itself_is_refused(content: str, why: str) -> None:
    with pytest.raises(BadManifest, match=why):
        static_pod(content.encode(), "/a.yaml", NODE, NOW)


def test_a_uid_is_of_the_node_the_file_and_what_it_says() -> None:
    def uid(content: str = MANIFEST % 1, file: str = "/a", node: str = NODE, now: str = NOW) -> str:
        found: str = static_pod(content.encode(), file, node, now)["metadata"]["uid"]
        return found

    assert uid() == uid(now="2027-01-01T00:00:00Z")
    assert len({uid(), uid(MANIFEST % 2), uid(file="/b"), uid(node="other")}) == 4
