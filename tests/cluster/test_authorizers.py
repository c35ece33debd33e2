"""The file that says who is asked for permission: what is taken from it, and how it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.cluster.settings.authorizers import Judge, of_cluster, read
from longshore.core.registry.permission.outside import Outside, Terms
from longshore.core.registry.permission.union import NODE, RBAC
from longshore.testing.clock import VirtualClock

from .test_webhook import Judge as Rig

OWN = [{"type": "Node", "name": "node"}, {"type": "RBAC", "name": "rbac"}]


def webhook(directory: Path, **changes: Any) -> dict[str, Any]:
    file = str(Rig(directory).kubeconfig())
    settings = {
        "timeout": "3s", "subjectAccessReviewVersion": "v1", "failurePolicy": "Deny",
        "matchConditionSubjectAccessReviewVersion": "v1",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": file},
    }  # fmt: skip
    changed = {key: value for key, value in (settings | changes).items() if value is not None}
    return {"type": "Webhook", "name": "judge", "webhook": changed}


def written(directory: Path, *authorizers: Any, **head: Any) -> Path:
    doc = {
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration",
        "authorizers": list(authorizers),
    }  # fmt: skip
    file = directory / "authorization.yaml"
    file.write_text(yaml.safe_dump(doc | head))
    return file


def test_the_order_is_kept(tmp_path: Path) -> None:
    spans = {"authorizedTTL": "1m30s", "unauthorizedTTL": "500ms", "failurePolicy": "NoOpinion"}
    first, second = webhook(tmp_path), {**webhook(tmp_path, **spans), "name": "second"}
    one, node, two, rbac = read(written(tmp_path, first, OWN[0], second, OWN[1]))
    assert isinstance(one, Judge)
    assert isinstance(two, Judge)
    assert (node, rbac) == (NODE, RBAC)
    assert (one.terms, one.timeout_s) == (Terms("judge", 300.0, 30.0, True), 3.0)
    assert two.terms == Terms("second", 90.0, 0.5, False)


async def test_a_cluster_keeps_its_file(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path, "home")
    assert of_cluster(paths, VirtualClock()) == []
    paths.create()
    written(tmp_path, *OWN, webhook(tmp_path)).rename(paths.authorization)
    node, rbac, outside = of_cluster(paths, VirtualClock())
    assert (node, rbac) == (NODE, RBAC)
    assert isinstance(outside, Outside)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"timeout": None}, "webhook.timeout: Required value"),
        ({"timeout": "31s"}, 'webhook.timeout: Invalid value: "31s": must be > 0s and <= 30s'),
        ({"timeout": "0s"}, "webhook.timeout: Invalid value"),
        ({"timeout": 3}, "webhook.timeout: Invalid value"),
        ({"authorizedTTL": "-5s"}, "webhook.authorizedTTL: Invalid value"),
        ({"unauthorizedTTL": "soon"}, "webhook.unauthorizedTTL: Invalid value"),
        ({"failurePolicy": None}, "webhook.failurePolicy: Required value"),
        ({"failurePolicy": "Allow"}, 'supported values: "NoOpinion", "Deny"'),
        ({"subjectAccessReviewVersion": None}, "subjectAccessReviewVersion: Required value"),
        ({"subjectAccessReviewVersion": "v1beta1"}, "subjectAccessReviewVersion: Unsupported"),
        ({"matchConditionSubjectAccessReviewVersion": "v2"}, "ReviewVersion: Unsupported value"),
        ({"matchConditions": [{"expression": "true"}]}, "webhook.matchConditions: CEL is not"),
        ({"cacheAuthorizedRequests": False}, "webhook.cacheAuthorizedRequests: every answer"),
        ({"connectionInfo": None}, "connectionInfo.type: Required value"),
        ({"connectionInfo": {"type": "InClusterConfig"}}, "InClusterConfig is not served"),
        ({"connectionInfo": {"type": "Telephone"}}, "connectionInfo.type: Unsupported value"),
        ({"connectionInfo": {"type": "KubeConfigFile"}}, "kubeConfigFile: Required value"),
        ({"connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "a"}}, "an absolute path"),
        ({"connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "/no"}}, "No such file"),
        ({"retries": 3}, "webhook.retries: unknown field"),
    ],
)  # fmt: skip
def test_webhooks_that_are_refused(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    file = written(tmp_path, *OWN, webhook(tmp_path, **changes))
    with pytest.raises(ClusterError) as refused:
        read(file)
    assert str(refused.value).startswith(f"--authorization-config {file}: authorizers[2].")
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("authorizers", "why"),
    [
        ([], "authorizers: Required value: at least one"),
        (["RBAC"], 'authorizers[0].type: Unsupported value: "": supported values: "Node", "RBAC"'),
        ([{"type": "ABAC", "name": "a"}], 'type: Unsupported value: "ABAC"'),
        ([{"type": "RBAC"}], "authorizers[0].name: Required value"),
        ([{"type": "RBAC", "name": "A"}], 'name: Invalid value: "A": authorizer name is invalid'),
        ([OWN[0], {"type": "RBAC", "name": "node"}], 'name: Duplicate value: "node"'),
        ([*OWN, {"type": "RBAC", "name": "more"}], "Duplicate value: Node and RBAC"),
        ([OWN[1], OWN[0]], "Node, and RBAC behind it"),
        ([OWN[1]], "Node, and RBAC behind it"),
        ([OWN[0], {**OWN[1], "webhook": {}}], "may only be specified when type=Webhook"),
        ([*OWN, {"type": "Webhook", "name": "w"}], "webhook: Required value"),
        ([{**OWN[0], "mode": "x"}, OWN[1]], "authorizers[0].mode: unknown field"),
    ],
)
def test_orders_that_are_refused(tmp_path: Path, authorizers: list[Any], why: str) -> None:
    with pytest.raises(ClusterError) as refused:
        read(written(tmp_path, *authorizers))
    assert why in str(refused.value)


@pytest.mark.parametrize("head", [{"kind": "Config"}, {"apiVersion": "v1"}])
def test_other_files_are_refused(tmp_path: Path, head: dict[str, Any]) -> None:
    with pytest.raises(ClusterError, match="expected an AuthorizationConfiguration"):
        read(written(tmp_path, *OWN, **head))
    with pytest.raises(ClusterError, match="No such file"):
        read(tmp_path / "nowhere")
