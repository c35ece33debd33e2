"""custom.metrics.k8s.io and external.metrics.k8s.io: what pods say, in upstream's forms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from longshore.base.users import User
from longshore.core.streams.series import Series
from longshore.doors.kubernetes.door import DoorConfig

from .rig import Kube, kube, pod

CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
AT = 1_767_225_600.0
"""2026-01-01T00:00:00Z"""


class Said:
    """What pods of namespace default say."""

    series = (
        Series("a", {"queue": "x"}, 5.0, AT, 15.0),
        Series("a", {"queue": "y"}, 0.25, AT, 15.0),
        Series("b", {"queue": "x", "service": "web"}, 7.0, AT, 30.0),
        Series("b", {"ingress": "main"}, 9.0, AT, 30.0),
    )

    async def of_pods(self, namespace: str, pods: Iterable[str], metric: str) -> Sequence[Series]:
        return [one for one in await self.of_namespace(namespace, metric) if one.pod in set(pods)]

    async def of_namespace(self, namespace: str, metric: str) -> Sequence[Series]:
        return self.series if (namespace, metric) == ("default", "depth") else ()

    def known(self) -> Iterable[str]:
        return ("depth", "height")


async def two_pods(k: Kube) -> None:
    for name in ("a", "b"):
        doc = pod(name, labels={"app": name})
        doc["metadata"]["annotations"] = {"prometheus.io/scrape": "true"}
        await k("POST", "/api/v1/namespaces/default/pods", doc)


async def test_a_metric_of_pods_is_the_sum_of_what_each_says() -> None:
    async with kube(DoorConfig(exposed=Said())) as k:
        await two_pods(k)
        path = f"{CUSTOM}/namespaces/default/pods"
        listed = (await k("GET", f"{path}/*/depth")).doc
        assert (listed["kind"], listed["apiVersion"]) == (
            "MetricValueList",
            "custom.metrics.k8s.io/v1beta2",
        )
        assert listed["items"][0] == {
            "describedObject": {
                "kind": "Pod", "namespace": "default", "name": "a", "apiVersion": "v1",
            },
            "metric": {"name": "depth"},
            "timestamp": "2026-01-01T00:00:00Z",
            "windowSeconds": 15,
            "value": "5250m",
        }  # fmt: skip
        chosen = (await k("GET", f"{path}/*/depth?labelSelector=app=b")).doc["items"]
        assert [(one["describedObject"]["name"], one["value"]) for one in chosen] == [("b", "16")]
        query = "metricLabelSelector=queue=x"
        (one,) = (await k("GET", f"{path}/a/depth?{query}")).doc["items"]
        assert one["value"] == "5"
        assert one["metric"] == {"name": "depth", "selector": {"matchLabels": {"queue": "x"}}}


async def test_a_metric_of_another_object_is_what_names_it() -> None:
    async with kube(DoorConfig(exposed=Said())) as k:
        path = f"{CUSTOM}/namespaces/default"
        (web,) = (await k("GET", f"{path}/services/web/depth")).doc["items"]
        assert web["value"] == "7"
        assert web["describedObject"]["kind"] == "Service"
        (main,) = (await k("GET", f"{path}/ingresses.networking.k8s.io/*/depth")).doc["items"]
        assert (main["describedObject"]["name"], main["value"]) == ("main", "9")
        (whole,) = (await k("GET", f"{path}/metrics/depth")).doc["items"]
        assert whole["value"] == "21250m"
        about = {"kind": "Namespace", "name": "default", "apiVersion": "v1"}
        assert whole["describedObject"] == about


async def test_external_metrics_are_told_by_their_labels() -> None:
    async with kube(DoorConfig(exposed=Said())) as k:
        path = f"{EXTERNAL}/namespaces/default/depth"
        listed = (await k("GET", f"{path}?labelSelector=queue=x,service")).doc
        assert listed == {
            "kind": "ExternalMetricValueList",
            "apiVersion": "external.metrics.k8s.io/v1beta1",
            "metadata": {},
            "items": [{
                "metricName": "depth", "metricLabels": {"queue": "x", "service": "web"},
                "timestamp": "2026-01-01T00:00:00Z", "window": 30, "value": "7",
            }],
        }  # fmt: skip
        assert len((await k("GET", path)).doc["items"]) == 4
        assert (await k("GET", f"{EXTERNAL}/namespaces/other/depth")).doc["items"] == []


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("namespaces/default/pods/*/none", "the server could not find the metric none for pods"),
        (
            "namespaces/default/services/db/depth",
            "the server could not find the metric depth for services db",
        ),
        ("namespaces/default/things/db/depth", "the server could not find the resource things"),
        (
            "nodes/n1/depth",
            "metrics of objects without a namespace are not served: what pods say of themselves is "
            "known to their own namespace alone",
        ),
        ("namespaces/default/pods", "the server could not find the requested resource"),
    ],
)
async def test_what_there_is_not_is_refused(path: str, message: str) -> None:
    async with kube(DoorConfig(exposed=Said())) as k:
        await two_pods(k)
        refused = await k("GET", f"{CUSTOM}/{path}")
        assert (refused.status, refused.doc["message"]) == (404, message)


async def test_they_are_discovered_and_only_read_by_those_who_may() -> None:
    async with kube(DoorConfig(exposed=Said())) as k:
        groups = [one["name"] for one in (await k("GET", "/apis")).doc["groups"]]
        assert {"custom.metrics.k8s.io", "external.metrics.k8s.io"} <= set(groups)
        resources = (await k("GET", CUSTOM)).doc["resources"]
        assert [one["name"] for one in resources] == [
            "namespaces/depth", "pods/depth", "namespaces/height", "pods/height",
        ]  # fmt: skip
        assert [one["name"] for one in (await k("GET", EXTERNAL)).doc["resources"]] == [
            "depth", "height",
        ]  # fmt: skip
        version = (await k("GET", "/apis/custom.metrics.k8s.io")).doc["preferredVersion"]
        assert version["version"] == "v1beta2"
        aggregated = (await k("GET", "/apis", accept=DISCOVERY)).doc["items"]
        assert "external.metrics.k8s.io" in [one["metadata"]["name"] for one in aggregated]
        path = f"{CUSTOM}/namespaces/default/pods/*/depth"
        assert (await k("POST", path, {})).status == 405
        assert (await k("GET", f"{path}?metricLabelSelector=!!")).status == 400
        k.user = User("someone", ("system:authenticated",))
        refused = await k("GET", path)
        assert refused.status == 403
        assert (
            'cannot get resource "pods/depth" in API group "custom.metrics.k8s.io"'
            in refused.doc["message"]
        )


async def test_where_nothing_is_exposed_there_are_no_such_groups() -> None:
    async with kube() as k:
        assert (await k("GET", CUSTOM)).status == 404
        assert (await k("GET", f"{EXTERNAL}/namespaces/default/depth")).status == 404
