"""Rule 23: strategic merge patches, by the keys that the types declare, and every directive."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from tests.doors.rig import Answer, Kube, deployment, kube, pod

STRATEGIC = "application/strategic-merge-patch+json"
CORE, APPS = "/api/v1/namespaces/default", "/apis/apps/v1/namespaces/default"
WEBS, PODS = f"{APPS}/deployments", f"{CORE}/pods"


async def patch(ask: Kube, path: str, body: Any) -> Answer:
    return await ask("PATCH", path, body, content_type=STRATEGIC)


def web(**container: Any) -> Doc:
    doc = deployment("web")
    doc["spec"]["template"]["spec"] |= {
        "containers": [
            {
                "name": "main", "image": "i:1",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "ports": [{"containerPort": 80, "name": "http"}],
                "volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}],
                **container,
            },
            {"name": "side", "image": "s:1"},
        ],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
        "imagePullSecrets": [{"name": "one"}],
    }  # fmt: skip
    return doc


def template(**spec: Any) -> Doc:
    return {"spec": {"template": {"spec": spec}}}


def main(**fields: Any) -> Doc:
    return template(containers=[{"name": "main", **fields}])


async def patched(ask: Kube, change: Doc) -> Doc:
    """The pod template's spec of a patched deployment."""
    assert (await ask("POST", WEBS, web())).status == 201
    answer = await patch(ask, f"{WEBS}/web", change)
    assert answer.status == 200, answer.doc
    spec: Doc = answer.doc["spec"]["template"]["spec"]
    return spec


def keyed(items: list[Doc], key: str, value: str) -> dict[Any, Any]:
    return {item[key]: item.get(value) for item in items}


@pytest.mark.parametrize(
    ("change", "field", "key", "value", "expected"),
    [
        ({"env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}, "env", "name", "value",
         {"A": "1", "B": "3", "C": "4"}),
        ({"ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}]}, "ports",
         "containerPort", "name", {80: "web", 81: None}),
        ({"volumeMounts": [{"name": "v", "mountPath": "/b", "readOnly": True}]}, "volumeMounts",
         "mountPath", "readOnly", {"/a": None, "/b": True}),
        ({"env": [{"name": "A", "$patch": "delete"}]}, "env", "name", "value", {"B": "2"}),
        ({"env": [{"$patch": "replace"}, {"name": "Z", "value": "9"}]}, "env", "name", "value",
         {"Z": "9"}),
    ],
)  # fmt: skip
async def test_lists_of_containers_are_merged_by_their_keys(
    change: Doc, field: str, key: str, value: str, expected: Doc
) -> None:
    async with kube() as ask:
        spec = await patched(ask, main(**change))
        assert keyed(spec["containers"], "name", "image") == {"main": "i:1", "side": "s:1"}
        assert keyed(spec["containers"][0][field], key, value) == expected


@pytest.mark.parametrize(
    ("change", "field", "key", "value", "expected"),
    [
        ({"containers": [{"name": "side", "image": "s:2"}]}, "containers", "name", "image",
         {"main": "i:1", "side": "s:2"}),
        ({"containers": [{"name": "side", "$patch": "delete"}]}, "containers", "name", "image",
         {"main": "i:1"}),
        ({"imagePullSecrets": [{"name": "two"}]}, "imagePullSecrets", "name", "name",
         {"one": "one", "two": "two"}),
        ({"hostAliases": [{"ip": "10.0.0.2", "hostnames": ["b"]}]}, "hostAliases", "ip", "hostnames",
         {"10.0.0.1": ["a"], "10.0.0.2": ["b"]}),
        # Tolerations have no key: the list is replaced.
        ({"tolerations": [{"key": "b", "operator": "Exists"}]}, "tolerations", "key", "operator",
         {"b": "Exists"}),
    ],
)  # fmt: skip
async def test_lists_of_pods_are_merged_by_their_keys(
    change: Doc, field: str, key: str, value: str, expected: Doc
) -> None:
    async with kube() as ask:
        spec = await patched(ask, template(**change))
        assert keyed(spec[field], key, value) == expected


async def test_retained_keys_drop_the_other_source_of_a_volume() -> None:
    async with kube() as ask:
        volume = {"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}}
        spec = await patched(ask, template(volumes=[volume]))
        (left,) = spec["volumes"]
        assert left["configMap"]["name"] == "c" and "emptyDir" not in left


async def test_the_strategy_of_an_update_is_told_by_retained_keys() -> None:
    async with kube() as ask:
        await ask("POST", WEBS, web())
        change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
        answer = await patch(ask, f"{WEBS}/web", change)
        assert answer.doc["spec"]["strategy"] == {"type": "Recreate"}


async def test_orders_are_kept_to() -> None:
    async with kube() as ask:
        env = {
            "$setElementOrder/env": [{"name": "C"}, {"name": "B"}, {"name": "A"}],
            "env": [{"name": "C", "value": "3"}],
        }
        spec = await patched(ask, main(**env))
        assert [one["name"] for one in spec["containers"][0]["env"]] == ["C", "B", "A"]


async def test_values_are_taken_out_of_primitive_lists() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p", finalizers=["a.b/c", "a.b/d"]))
        added = await patch(ask, f"{PODS}/p", {"metadata": {"finalizers": ["a.b/e"]}})
        assert sorted(added.doc["metadata"]["finalizers"]) == ["a.b/c", "a.b/d", "a.b/e"]
        change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c", "a.b/e"]}}
        left = await patch(ask, f"{PODS}/p", change)
        assert left.doc["metadata"]["finalizers"] == ["a.b/d"]


async def test_maps_are_replaced_and_emptied_by_a_directive() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p", labels={"a": "1"}, annotations={"x": "y"}))
        change = {"metadata": {
            "labels": {"$patch": "replace", "b": "2"}, "annotations": {"$patch": "delete"},
        }}  # fmt: skip
        metadata = (await patch(ask, f"{PODS}/p", change)).doc["metadata"]
        assert metadata["labels"] == {"b": "2"} and not metadata.get("annotations")


async def test_owners_are_merged_by_uid() -> None:
    async with kube() as ask:
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u1"}
        await ask("POST", PODS, pod("p", ownerReferences=[owner]))
        change = {"metadata": {"ownerReferences": [
            {"uid": "u1", "controller": True}, {**owner, "uid": "u2"},
        ]}}  # fmt: skip
        owners = (await patch(ask, f"{PODS}/p", change)).doc["metadata"]["ownerReferences"]
        assert keyed(owners, "uid", "controller") == {"u1": True, "u2": None}


async def test_ports_of_services_are_merged_by_port() -> None:
    async with kube() as ask:
        ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
        await ask("POST", f"{CORE}/services", {"metadata": {"name": "s"}, "spec": {"ports": ports}})
        change = {"spec": {"ports": [{"port": 81, "targetPort": 8081}]}}
        spec = (await patch(ask, f"{CORE}/services/s", change)).doc["spec"]
        assert keyed(spec["ports"], "port", "targetPort") == {80: 80, 81: 8081}


async def test_conditions_and_addresses_of_a_status_are_merged_by_type() -> None:
    async with kube() as ask:
        await ask("POST", "/api/v1/nodes", {"metadata": {"name": "n"}})
        for kind, status in (("Ready", "False"), ("Odd", "True"), ("Ready", "True")):
            change = {"status": {
                "conditions": [{"type": kind, "status": status}],
                "addresses": [{"type": "Hostname", "address": status.lower()}],
            }}  # fmt: skip
            answer = await patch(ask, "/api/v1/nodes/n/status", change)
        status = answer.doc["status"]
        assert keyed(status["conditions"], "type", "status") == {"Ready": "True", "Odd": "True"}
        assert status["addresses"] == [{"type": "Hostname", "address": "true"}]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        (template(containers=[{"image": "x"}]), 400, "does not contain declared merge key: name"),
        (main(env=[{"name": "A", "$patch": "melt"}]), 400, "Unknown patch type: melt"),
        (template(volumes=[{"$retainKeys": ["name"], "name": "v", "nfs": {}}]), 422, "retainKeys"),
        (template(volumes=[{"$retainKeys": "name", "name": "v"}]), 400, "retainKeys"),
        (
            {"metadata": {"$deleteFromPrimitiveList/finalizers": "x"}},
            400,
            "deleteFromPrimitiveList",
        ),
        (main(**{"$setElementOrder/env": [{"name": "A"}], "env": [{"name": "B"}]}), 400, "order"),
        ([], 400, ""),
        (b"{", 400, ""),
    ],
)
async def test_what_makes_no_sense_is_refused(change: Any, status: int, said: str) -> None:
    async with kube() as ask:
        body = web() | {"metadata": {"name": "web", "finalizers": ["a.b/c"]}}
        before = await ask("POST", WEBS, body)
        refused = await patch(ask, f"{WEBS}/web", change)
        assert (refused.status, said in refused.doc["message"]) == (status, True), refused.doc
        assert (await ask("GET", f"{WEBS}/web")).doc == before.doc


async def test_a_revision_in_the_patch_is_a_precondition() -> None:
    async with kube() as ask:
        made = (await ask("POST", PODS, pod("p"))).doc["metadata"]
        change = {"metadata": {"resourceVersion": made["resourceVersion"], "labels": {"a": "b"}}}
        assert (await patch(ask, f"{PODS}/p", change)).status == 200
        stale = await patch(ask, f"{PODS}/p", change)
        assert (stale.status, stale.doc["reason"]) == (409, "Conflict")
