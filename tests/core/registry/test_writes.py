"""Creating, replacing, patching and deleting through the registry, by the contract's rules."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    UnsupportedMediaType,
)
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.registry.client import Bind, Create, Delete, DeleteOptions, Patch, Update
from longshore.core.registry.patching import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from longshore.core.registry.reads import ListOptions
from longshore.core.registry.sent import WriteOptions

from .conftest import ADMIN, Desk


def config_map(name: str = "cm", **data: str) -> Doc:
    return {"metadata": {"name": name}, "data": data}


def pod(name: str = "p", **spec: Any) -> Doc:
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


CM = Ref(kinds.CONFIG_MAP, "default", "cm")
POD = Ref(kinds.POD, "default", "p")


async def test_create_fills_in_what_the_system_knows(desk: Desk) -> None:
    made = await desk.create(kinds.CONFIG_MAP, config_map(a="1"))
    metadata = made["metadata"]
    assert made["apiVersion"] == "v1" and made["kind"] == "ConfigMap"
    assert metadata["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert len(metadata["uid"]) == 36 and metadata["resourceVersion"].isdigit()


async def test_generate_name_is_completed(desk: Desk) -> None:
    made = await desk.create(kinds.CONFIG_MAP, {"metadata": {"generateName": "x-"}})
    assert made["metadata"]["name"].startswith("x-") and len(made["metadata"]["name"]) == 7


async def test_creating_twice_is_refused(desk: Desk) -> None:
    await desk.create(kinds.CONFIG_MAP, config_map())
    with pytest.raises(AlreadyExists, match='configmaps "cm" already exists'):
        await desk.create(kinds.CONFIG_MAP, config_map())


async def test_a_namespace_must_be_there_and_alive(desk: Desk) -> None:
    with pytest.raises(NotFound, match='namespaces "none" not found'):
        await desk.create(kinds.CONFIG_MAP, config_map(), namespace="none")
    await desk.registry.delete(ADMIN, Ref(kinds.NAMESPACE, "", "other"), DeleteOptions())
    with pytest.raises(Forbidden, match="because it is being terminated") as refused:
        await desk.create(kinds.CONFIG_MAP, config_map(), namespace="other")
    assert [cause.reason for cause in refused.value.causes] == ["NamespaceTerminating"]


async def test_body_and_address_must_agree(desk: Desk) -> None:
    with pytest.raises(BadRequest, match="does not match the namespace"):
        await desk.create(kinds.CONFIG_MAP, {"metadata": {"name": "a", "namespace": "other"}})
    with pytest.raises(BadRequest, match="resourceVersion should not be set"):
        await desk.create(kinds.CONFIG_MAP, {"metadata": {"name": "a", "resourceVersion": "1"}})
    with pytest.raises(BadRequest, match="this address takes ConfigMap"):
        await desk.create(kinds.CONFIG_MAP, {"kind": "Secret", "metadata": {"name": "a"}})


async def test_a_stale_revision_is_a_conflict_and_changes_nothing(desk: Desk) -> None:
    first = await desk.create(kinds.CONFIG_MAP, config_map(a="1"))
    stale = orjson.dumps(first)
    await desk.registry.update(ADMIN, CM, {**orjson.loads(stale), "data": {"a": "2"}})
    with pytest.raises(Conflict, match="the object has been modified"):
        await desk.registry.update(ADMIN, CM, {**orjson.loads(stale), "data": {"a": "3"}})
    assert (await desk.client.get(*_at(CM)))["data"] == {"a": "2"}


async def test_a_write_that_changes_nothing_keeps_the_revision(desk: Desk) -> None:
    made = await desk.create(kinds.DEPLOYMENT, deployment())
    again, _ = await desk.registry.update(
        ADMIN, Ref(kinds.DEPLOYMENT, "default", "web"), deployment()
    )
    assert again.doc["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def deployment(**spec: Any) -> Doc:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
    return {
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


async def test_generation_counts_changes_of_the_spec_only(desk: Desk) -> None:
    ref = Ref(kinds.DEPLOYMENT, "default", "web")
    assert (await desk.create(kinds.DEPLOYMENT, deployment()))["metadata"]["generation"] == 1
    patched, _ = await desk.registry.patch(
        ADMIN, ref, MERGE_PATCH, b'{"metadata":{"labels":{"a":"b"}}}'
    )
    assert patched.doc["metadata"]["generation"] == 1
    patched, _ = await desk.registry.patch(ADMIN, ref, MERGE_PATCH, b'{"spec":{"replicas":5}}')
    assert patched.doc["metadata"]["generation"] == 2
    status = Ref(kinds.DEPLOYMENT, "default", "web", "status")
    body = b'{"status":{"replicas":3},"spec":{"replicas":9}}'
    patched, _ = await desk.registry.patch(ADMIN, status, MERGE_PATCH, body)
    assert patched.doc["metadata"]["generation"] == 2
    assert (patched.doc["spec"]["replicas"], patched.doc["status"]["replicas"]) == (5, 3)


async def test_a_deployment_without_selector_is_told_what_to_write(desk: Desk) -> None:
    doc = deployment()
    del doc["spec"]["selector"]
    with pytest.raises(Invalid, match=r"spec.selector: Required value.*app.*web"):
        await desk.create(kinds.DEPLOYMENT, doc)


async def test_scale_reads_and_writes_replicas_alone(desk: Desk) -> None:
    await desk.create(kinds.DEPLOYMENT, deployment())
    ref = Ref(kinds.DEPLOYMENT, "default", "web", "scale")
    scaled, _ = await desk.registry.patch(ADMIN, ref, MERGE_PATCH, b'{"spec":{"replicas":7}}')
    assert scaled.doc["spec"]["replicas"] == 7
    with pytest.raises(Invalid, match="must be greater than or equal to 0"):
        await desk.registry.update(ADMIN, ref, {"kind": "Scale", "spec": {"replicas": -1}})


async def test_the_four_patch_types(desk: Desk) -> None:
    await desk.create(kinds.POD, pod())
    strategic = b'{"spec":{"containers":[{"name":"c","image":"new"}]}}'
    patched, _ = await desk.registry.patch(ADMIN, POD, STRATEGIC_PATCH, strategic)
    assert [c["image"] for c in patched.doc["spec"]["containers"]] == ["new"]
    json_patch = b'[{"op":"add","path":"/metadata/labels","value":{"x":"y"}}]'
    patched, _ = await desk.registry.patch(ADMIN, POD, JSON_PATCH, json_patch)
    assert patched.doc["metadata"]["labels"] == {"x": "y"}
    patched, _ = await desk.registry.patch(ADMIN, POD, MERGE_PATCH, b'{"metadata":{"labels":null}}')
    assert "labels" not in patched.doc["metadata"]
    with pytest.raises(UnsupportedMediaType, match="unknown format"):
        await desk.registry.patch(ADMIN, POD, "application/apply-patch+cbor", b"{}")


async def test_unknown_fields_warn_or_are_refused(desk: Desk) -> None:
    doc = {**config_map(), "surprise": 1}
    _, warnings = await desk.registry.create(
        ADMIN,
        kinds.CONFIG_MAP,
        doc,
        namespace="default",
        options=WriteOptions(field_validation="Warn"),
    )
    assert warnings == ['unknown field "surprise"']
    with pytest.raises(BadRequest, match='strict decoding error: unknown field "surprise"'):
        await desk.registry.create(
            ADMIN, kinds.CONFIG_MAP, {**config_map("b"), "surprise": 1}, namespace="default",
            options=WriteOptions(field_validation="Strict"),
        )  # fmt: skip


async def test_dry_run_shows_and_stores_nothing(desk: Desk) -> None:
    before = desk.registry.cache.revision
    doc = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    shown, _ = await desk.registry.create(
        ADMIN, kinds.SERVICE, doc, namespace="default", options=WriteOptions(dry_run=True)
    )
    address = shown.doc["spec"]["clusterIP"]
    assert address.startswith("10.96.") and desk.registry.cache.revision == before
    again = {"metadata": {"name": "t"}, "spec": {"clusterIP": address, "ports": [{"port": 80}]}}
    assert (await desk.create(kinds.SERVICE, again))["spec"]["clusterIP"] == address


async def test_services_get_addresses_and_ports_that_nobody_else_has(desk: Desk) -> None:
    def service(name: str, **spec: Any) -> Doc:
        return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}

    first = await desk.create(kinds.SERVICE, service("a", type="NodePort"))
    address, port = first["spec"]["clusterIP"], first["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        await desk.create(kinds.SERVICE, service("b", clusterIP=address))
    ports = [{"port": 80, "nodePort": port}]
    with pytest.raises(Invalid, match="provided port is already allocated"):
        await desk.create(kinds.SERVICE, service("c", type="NodePort", ports=ports))
    await desk.registry.delete(ADMIN, Ref(kinds.SERVICE, "default", "a"), DeleteOptions())
    taken = await desk.create(kinds.SERVICE, service("d", clusterIP=address))
    assert taken["spec"]["clusterIP"] == address


async def test_a_bound_pod_ends_gracefully_and_an_unbound_one_at_once(desk: Desk) -> None:
    await desk.create(kinds.POD, pod())
    await desk.registry.bind(ADMIN, Bind("default", "p", "n1"))
    with pytest.raises(Conflict, match='already assigned to node "n1"'):
        await desk.registry.bind(ADMIN, Bind("default", "p", "n2"))
    marked, gone = await desk.registry.delete(ADMIN, POD, DeleteOptions())
    assert not gone and marked.doc["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:30Z"
    assert marked.doc["metadata"]["deletionGracePeriodSeconds"] == 30
    shorter, _ = await desk.registry.delete(ADMIN, POD, DeleteOptions(grace_s=5))
    assert shorter.doc["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:05Z"
    longer, _ = await desk.registry.delete(ADMIN, POD, DeleteOptions(grace_s=500))
    assert longer.doc["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:05Z"
    _, gone = await desk.registry.delete(ADMIN, POD, DeleteOptions(grace_s=0))
    assert gone
    await desk.create(kinds.POD, pod("q"))
    _, gone = await desk.registry.delete(ADMIN, Ref(kinds.POD, "default", "q"), DeleteOptions())
    assert gone


async def test_finalizers_hold_an_object_until_the_last_is_gone(desk: Desk) -> None:
    doc = {"metadata": {"name": "cm", "finalizers": ["a.example/x", "a.example/y"]}}
    await desk.create(kinds.CONFIG_MAP, doc)
    marked, gone = await desk.registry.delete(ADMIN, CM, DeleteOptions())
    assert not gone and "deletionTimestamp" in marked.doc["metadata"]
    await desk.registry.patch(
        ADMIN, CM, MERGE_PATCH, b'{"metadata":{"finalizers":["a.example/y"]}}'
    )
    assert await desk.client.get(*_at(CM))
    with pytest.raises(AlreadyExists, match='object is being deleted: configmaps "cm" already'):
        await desk.create(kinds.CONFIG_MAP, config_map())
    await desk.registry.patch(ADMIN, CM, MERGE_PATCH, b'{"metadata":{"finalizers":null}}')
    with pytest.raises(NotFound):
        await desk.client.get(*_at(CM))


async def test_preconditions_guard_a_delete(desk: Desk) -> None:
    await desk.create(kinds.CONFIG_MAP, config_map())
    with pytest.raises(Conflict, match="UID in the precondition"):
        await desk.registry.delete(ADMIN, CM, DeleteOptions(uid="other"))
    with pytest.raises(Conflict, match="ResourceVersion in the precondition"):
        await desk.registry.delete(ADMIN, CM, DeleteOptions(revision="1"))


async def test_writes_of_one_object_never_lose_one_another(desk: Desk) -> None:
    await desk.create(kinds.CONFIG_MAP, config_map())
    patches = [
        desk.registry.patch(ADMIN, CM, MERGE_PATCH, orjson.dumps({"data": {f"k{n}": "v"}}))
        for n in range(50)
    ]
    await asyncio.gather(*patches)
    assert len((await desk.client.get(*_at(CM)))["data"]) == 50


async def test_a_batch_answers_each_operation_for_itself(desk: Desk) -> None:
    answers = await desk.client.submit([
        Create(kinds.CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}}),
        Create(kinds.CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}}),
        Patch(kinds.CONFIG_MAP, "default", "none", {"data": {}}),
        Delete(kinds.CONFIG_MAP, "default", "a"),
        Create(kinds.CONFIG_MAP, {"metadata": {"name": "B!", "namespace": "default"}}),
    ])  # fmt: skip
    kinds_of = [type(answer).__name__ for answer in answers]
    assert kinds_of == ["dict", "AlreadyExists", "NotFound", "dict", "Invalid"]


async def test_what_a_loop_hands_in_stays_its_own(desk: Desk) -> None:
    doc = {"metadata": {"name": "p", "namespace": "default"}, "spec": pod()["spec"]}
    before = orjson.dumps(doc)
    await desk.client.write(Create(kinds.POD, doc))
    assert orjson.dumps(doc) == before
    shared = await desk.client.get(kinds.POD, "default", "p")
    before = orjson.dumps(shared)
    await desk.client.write(Update(kinds.POD, {**shared, "status": {"phase": "Running"}}, "status"))
    assert orjson.dumps(shared) == before


async def test_of_a_status_that_a_loop_writes_nothing_else_counts(desk: Desk) -> None:
    await desk.create(kinds.POD, pod())
    there = await desk.client.get(kinds.POD, "default", "p")
    metadata = {**there["metadata"], "annotations": {"noted": "yes"}}
    status = {**there["status"], "phase": "Running"}
    said = {**there, "metadata": metadata, "spec": {"containers": []}, "status": status}
    after = await desk.client.write(Update(kinds.POD, said, "status"))
    assert (after["spec"], after["status"]["phase"]) == (there["spec"], "Running")
    assert after["metadata"]["annotations"] == {"noted": "yes"}
    status["phase"] = "Failed"
    assert (await desk.client.get(kinds.POD, "default", "p"))["status"]["phase"] == "Running"
    with pytest.raises(Conflict):
        await desk.client.write(Update(kinds.POD, said, "status"))
    wrong = {**after, "status": {"phase": 5}}
    with pytest.raises(BadRequest, match="cannot be handled as a Pod"):
        await desk.client.write(Update(kinds.POD, wrong, "status"))


async def test_who_holds_nothing_may_do_nothing(desk: Desk) -> None:
    nobody = User("nobody", ("system:authenticated",))
    await desk.create(kinds.POD, pod())
    with pytest.raises(Forbidden, match="cannot get resource"):
        desk.registry.get(nobody, POD)
    for ask in (desk.registry.list, desk.registry.watch):
        with pytest.raises(Forbidden, match='resource "pods"'):
            ask(nobody, kinds.POD, "default", ListOptions())
    with pytest.raises(Forbidden, match="cannot create resource"):
        await desk.registry.create(nobody, kinds.POD, pod("q"), namespace="default")
    with pytest.raises(Forbidden, match="cannot patch resource"):
        await desk.registry.patch(nobody, POD, MERGE_PATCH, b"{}")
    for answer in await desk.registry.submit(nobody, [Delete(kinds.POD, "default", "p")]):
        assert isinstance(answer, Forbidden)


def _at(ref: Ref) -> tuple[kinds.Kind, str, str]:
    return ref.kind, ref.namespace, ref.name
