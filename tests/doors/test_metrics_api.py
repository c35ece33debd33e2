"""metrics.k8s.io: what nodes answer, chosen, shown and kept for a moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from longshore.base.durations import duration
from longshore.base.users import User
from longshore.cluster.readings.statistics import HollowStatistics
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Bind
from longshore.core.streams.samples import NodeSample, PodSample, Use
from longshore.doors.kubernetes.door import DoorConfig

from .rig import ADMIN, TABLE, Kube, kube, pod

METRICS = "/apis/metrics.k8s.io/v1beta1"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
MI = 1 << 20


AT = 1_767_225_600.0
"""2026-01-01T00:00:00Z"""


class Nodes:
    """Says what it is told to; remembers who was asked about."""

    def __init__(self) -> None:
        self.says: dict[str, NodeSample] = {}
        self.asked: list[str] = []

    async def of_nodes(self, names: Iterable[str]) -> Mapping[str, NodeSample]:
        wanted = sorted(names)
        self.asked += wanted
        return {name: self.says[name] for name in wanted if name in self.says}

    def use(self, node: str, *pods: Doc) -> None:
        uses = {one["metadata"]["uid"]: _pod_sample(one) for one in pods}
        self.says[node] = NodeSample(node, AT, 12.5, Use(10**9, 64 * MI), uses)


def _pod_sample(one: Doc) -> PodSample:
    metadata = one["metadata"]
    use = Use(250_000_000, 3 * MI)
    return PodSample(
        metadata["namespace"], metadata["name"], metadata["uid"], AT, 12.5, {"main": use}
    )


async def add_node(k: Kube, name: str, **labels: str) -> None:
    await k("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})


async def add_pod(k: Kube, name: str, node: str, **labels: str) -> Doc:
    await k("POST", "/api/v1/namespaces/default/pods", pod(name, labels=labels))
    await k.registry.bind(ADMIN, Bind("default", name, node))
    made: Doc = (await k("GET", f"/api/v1/namespaces/default/pods/{name}")).doc
    return made


def names(listing: Doc) -> list[str]:
    return [item["metadata"]["name"] for item in listing["items"]]


async def test_nodes_are_shown_as_metrics_server_shows_them() -> None:
    nodes = Nodes()
    async with kube(DoorConfig(samples=nodes)) as k:
        await add_node(k, "n1", zone="a")
        nodes.use("n1")
        one = await k("GET", f"{METRICS}/nodes/n1")
        expected = {
            "metadata": {
                "name": "n1", "labels": {"zone": "a"}, "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "timestamp": "2026-01-01T00:00:00Z",
            "window": "12.5s",
            "usage": {"cpu": "1", "memory": "64Mi"},
        }  # fmt: skip
        kind = {"kind": "NodeMetrics", "apiVersion": "metrics.k8s.io/v1beta1"}
        assert one.doc == kind | expected
        listing = (await k("GET", f"{METRICS}/nodes")).doc
        assert (listing["kind"], listing["items"]) == ("NodeMetricsList", [expected])
        missing = await k("GET", f"{METRICS}/nodes/n2")
        assert missing.status == 404
        assert missing.doc["message"] == 'nodes.metrics.k8s.io "n2" not found'


async def test_pods_are_chosen_by_namespace_and_selectors() -> None:
    nodes = Nodes()
    async with kube(DoorConfig(samples=nodes)) as k:
        await add_node(k, "n1")
        nodes.use("n1", await add_pod(k, "a", "n1", app="web"), await add_pod(k, "b", "n1"))
        await k("POST", "/api/v1/namespaces/default/pods", pod("waiting"))
        assert names((await k("GET", f"{METRICS}/pods")).doc) == ["a", "b"]
        assert names((await k("GET", f"{METRICS}/namespaces/none/pods")).doc) == []
        path = f"{METRICS}/namespaces/default/pods"
        assert names((await k("GET", f"{path}?labelSelector=app=web")).doc) == ["a"]
        assert names((await k("GET", f"{path}?fieldSelector=metadata.name=b")).doc) == ["b"]
        one = (await k("GET", f"{path}/a")).doc
        usage = {"cpu": "250m", "memory": "3Mi"}
        assert one["containers"] == [{"name": "main", "usage": usage}]
        assert one["metadata"]["labels"] == {"app": "web"}
        missing = (await k("GET", f"{path}/waiting")).doc["message"]
        assert missing == 'pods.metrics.k8s.io "default/waiting" not found'


async def test_they_are_shown_as_tables_and_as_metadata() -> None:
    nodes = Nodes()
    async with kube(DoorConfig(samples=nodes)) as k:
        await add_node(k, "n1")
        nodes.use("n1", await add_pod(k, "a", "n1"))
        listed = (await k("GET", f"{METRICS}/pods", accept=TABLE)).doc
        one = (await k("GET", f"{METRICS}/nodes/n1", accept=TABLE)).doc
        named = [column["name"] for column in listed["columnDefinitions"]]
        assert named == ["Name", "cpu", "memory", "Window"]
        assert [row["cells"] for row in listed["rows"]] == [["a", "250m", "3Mi", "12.5s"]]
        assert [row["cells"] for row in one["rows"]] == [["n1", "1", "64Mi", "12.5s"]]
        assert listed["rows"][0]["object"]["metadata"]["name"] == "a"
        only = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
        shown = (await k("GET", f"{METRICS}/nodes", accept=only)).doc
        assert (shown["kind"], names(shown)) == ("PartialObjectMetadataList", ["n1"])
        assert "usage" not in shown["items"][0]


async def test_it_is_discovered_and_only_read() -> None:
    async with kube(DoorConfig(samples=Nodes())) as k:
        groups = (await k("GET", "/apis")).doc["groups"]
        assert "metrics.k8s.io" in [group["name"] for group in groups]
        resources = (await k("GET", METRICS)).doc["resources"]
        assert [(r["name"], r["kind"], r["namespaced"], r["verbs"]) for r in resources] == [
            ("nodes", "NodeMetrics", False, ["get", "list"]),
            ("pods", "PodMetrics", True, ["get", "list"]),
        ]
        aggregated = (await k("GET", "/apis", accept=DISCOVERY)).doc["items"]
        assert "metrics.k8s.io" in [item["metadata"]["name"] for item in aggregated]
        assert (await k("DELETE", f"{METRICS}/nodes/n1")).status == 405
        assert (await k("POST", f"{METRICS}/namespaces/default/pods", pod("a"))).status == 405
        assert (await k("GET", f"{METRICS}/nodes?watch=1")).status == 405
        assert (await k("GET", f"{METRICS}/nodes/n1/status")).status == 404
        assert (await k("GET", "/openapi/v2")).status == 200
        k.user = User("someone", ("system:authenticated",))
        refused = await k("GET", f"{METRICS}/nodes")
        assert refused.status == 403
        assert (
            'cannot list resource "nodes" in API group "metrics.k8s.io"' in refused.doc["message"]
        )


async def test_without_samples_there_is_no_such_group() -> None:
    async with kube() as k:
        assert (await k("GET", METRICS)).status == 404
        assert (await k("GET", f"{METRICS}/nodes")).status == 404


async def test_hollow_pods_use_half_of_what_they_request() -> None:
    async with kube() as k:
        await add_node(k, "n1")
        asks = pod("asks")
        asks["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "500m", "memory": "64Mi"}}
        for doc in (asks, pod("modest")):
            name = doc["metadata"]["name"]
            await k("POST", "/api/v1/namespaces/default/pods", doc)
            await k.registry.bind(ADMIN, Bind("default", name, "n1"))
            path = f"/api/v1/namespaces/default/pods/{name}/status"
            patch = {"status": {"phase": "Running"}}
            await k("PATCH", path, patch, content_type="application/merge-patch+json")
        said = await HollowStatistics(k.registry, k.clock).stats("n1")
        used = {
            one["podRef"]["name"]: (
                one["containers"][0]["cpu"]["usageNanoCores"],
                one["containers"][0]["memory"]["workingSetBytes"],
            )
            for one in said["pods"]
        }
        assert used == {"asks": (250_000_000, 32 * MI), "modest": (1_000_000, MI)}
        assert said["node"]["cpu"]["usageNanoCores"] == 251_000_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(10.0, "10s"), (0.25, "0.25s"), (60.0, "1m0s"), (3661.5, "1h1m1.5s"), (7200.0, "2h0m0s")],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_kinds_are_not_stored() -> None:
    assert not any(kind.is_stored for kind in kinds.MEASURED)
