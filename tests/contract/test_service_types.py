"""A Service changes its type, from any to any, by a patch that says the type alone: what the new
type lacks goes, what it needs comes (conformance: "should be able to change the type from ...")."""

from __future__ import annotations

from itertools import permutations

import pytest

from ..doors.rig import Kube, kube

SERVICES = "/api/v1/namespaces/default/services"
MERGE = "application/merge-patch+json"
TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")


async def made(ask: Kube, kind: str) -> None:
    spec: dict[str, object] = {"type": kind, "ports": [{"port": 80}]}
    if kind == "ExternalName":
        spec = {"type": kind, "externalName": "example.org", "ports": [{"port": 80}]}
    if kind == "LoadBalancer":
        spec |= {"externalTrafficPolicy": "Local", "loadBalancerClass": "example.org/lb"}
    doc = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}
    assert (await ask("POST", SERVICES, doc)).status == 201
    if kind == "LoadBalancer":
        status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
        path = f"{SERVICES}/s/status"
        assert (await ask("PATCH", path, status, content_type=MERGE)).status == 200


@pytest.mark.parametrize(("before", "after"), list(permutations(TYPES, 2)))
async def test_from_any_type_to_any_other(before: str, after: str) -> None:
    async with kube() as ask:
        await made(ask, before)
        change: dict[str, object] = {"type": after}
        change["externalName"] = "example.org" if after == "ExternalName" else None
        answer = await ask("PATCH", f"{SERVICES}/s", {"spec": change}, content_type=MERGE)
        assert answer.status == 200, answer.doc
        doc = answer.doc
        spec, (port,) = doc["spec"], doc["spec"]["ports"]
        outside = after in ("NodePort", "LoadBalancer")
        assert bool(spec.get("clusterIP")) == (after != "ExternalName")
        assert bool(spec.get("clusterIPs")) == (after != "ExternalName")
        assert bool(port.get("nodePort")) == outside
        assert bool(spec.get("externalTrafficPolicy")) == outside
        assert bool(spec.get("allocateLoadBalancerNodePorts")) == (after == "LoadBalancer")
        assert "loadBalancerClass" not in spec
        assert "healthCheckNodePort" not in spec
        assert doc["status"] == {"loadBalancer": {}}


async def test_what_is_asked_for_in_the_same_breath_is_refused_and_not_dropped() -> None:
    async with kube() as ask:
        await made(ask, "LoadBalancer")
        change = {"spec": {"type": "ClusterIP", "loadBalancerClass": "example.org/other"}}
        answer = await ask("PATCH", f"{SERVICES}/s", change, content_type=MERGE)
        assert answer.status == 422
        assert "spec.loadBalancerClass" in answer.doc["message"]
