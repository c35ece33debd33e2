"""Rule 40: rules in CEL are refused by name, with the custom resources whose schemas have them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doors.rig import kube

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RULE = {"rule": "self.replicas <= self.limit", "message": "too many", "optionalOldSelf": True}


def _definition() -> dict[str, Any]:
    spec = {"type": "object", "x-kubernetes-validations": [RULE]}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"plural": "webs", "singular": "web", "kind": "Web", "listKind": "WebList"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "webs.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": names, "versions": [version],
        },
    }  # fmt: skip


@pytest.mark.parametrize("query", ["", "?dryRun=All", "?fieldValidation=Strict"])
async def test_a_definition_with_rules_is_refused_and_not_kept(query: str) -> None:
    async with kube() as ask:
        refused = await ask("POST", f"{CRDS}{query}", _definition())
        assert (refused.status, refused.doc["reason"]) == (403, "Forbidden")
        assert "custom resources are not served yet" in refused.doc["message"]
        assert (await ask("GET", CRDS)).doc["items"] == []


async def test_nothing_is_served_for_it() -> None:
    async with kube() as ask:
        await ask("POST", CRDS, _definition())
        path = "/apis/example.com/v1/namespaces/default/webs"
        assert (await ask("GET", path)).status == 404
        made = await ask("POST", path, {"metadata": {"name": "w"}, "spec": {"replicas": 9}})
        assert made.status == 404
