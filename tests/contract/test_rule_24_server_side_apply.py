"""Rule 24: server-side apply creates, merges, prunes, and conflicts with who owns what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doors.rig import Answer, Kube, kube

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
MAPS = "/api/v1/namespaces/default/configmaps"
WEB = "/apis/apps/v1/namespaces/default/deployments/web"


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": data}


def deployment(**spec: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    }
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": spec,
    }


async def apply(
    ask: Kube, path: str, body: Any, manager: str = "me", more: str = "", media: str = APPLY
) -> Answer:
    return await ask("PATCH", f"{path}?fieldManager={manager}{more}", body, content_type=media)


async def test_it_creates_what_is_not_there_and_is_idempotent() -> None:
    async with kube() as ask:
        first = await apply(ask, f"{MAPS}/one", config(a="1"))
        again = await apply(ask, f"{MAPS}/one", config(a="1"))
        assert (first.status, again.status) == (201, 200)
        assert again.doc == first.doc


async def test_yaml_is_read() -> None:
    async with kube() as ask:
        body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  a: '1'\n"
        assert (await apply(ask, f"{MAPS}/one", body)).doc["data"] == {"a": "1"}


async def test_what_left_the_manifest_is_removed_unless_another_owns_it() -> None:
    async with kube() as ask:
        await apply(ask, f"{MAPS}/one", config(a="1", b="2"))
        await apply(ask, f"{MAPS}/one", config(b="2"), "you")
        left = await apply(ask, f"{MAPS}/one", config())
        assert left.doc["data"] == {"b": "2"}


async def test_a_conflict_names_manager_and_field_and_force_takes_it() -> None:
    async with kube() as ask:
        await apply(ask, WEB, deployment(replicas=2))
        refused = await apply(ask, WEB, deployment(replicas=5), "you")
        assert (refused.status, refused.doc["reason"]) == (409, "Conflict")
        assert refused.doc["message"] == (
            'Apply failed with 1 conflict: conflict with "me": .spec.replicas'
        )
        assert refused.doc["details"]["causes"] == [{
            "reason": "FieldManagerConflict",
            "message": 'conflict with "me"', "field": ".spec.replicas",
        }]  # fmt: skip
        forced = await apply(ask, WEB, deployment(replicas=5), "you", "&force=true")
        assert forced.doc["spec"]["replicas"] == 5
        # What was taken is no longer the first one's to remove.
        kept = await apply(ask, WEB, deployment())
        assert kept.doc["spec"]["replicas"] == 5


async def test_a_conflict_with_a_plain_write_names_its_version_and_time() -> None:
    async with kube() as ask:
        await apply(ask, WEB, deployment(replicas=2))
        await ask(
            "PATCH", f"{WEB}?fieldManager=editor", {"spec": {"replicas": 3}}, content_type=MERGE
        )
        message = (await apply(ask, WEB, deployment(replicas=2))).doc["message"]
        assert message.startswith(
            'Apply failed with 1 conflict: conflict with "editor" using apps/v1'
        )
        assert message.endswith(": .spec.replicas")


async def test_several_conflicts_are_listed() -> None:
    async with kube() as ask:
        await apply(ask, f"{MAPS}/one", config(a="1", b="1"))
        refused = await apply(ask, f"{MAPS}/one", config(a="2", b="2"), "you")
        assert refused.doc["message"] == (
            'Apply failed with 2 conflicts: conflicts with "me":\n- .data.a\n- .data.b'
        )


async def test_items_of_a_list_are_owned_apart() -> None:
    async with kube() as ask:
        await apply(ask, WEB, deployment())
        theirs = deployment()
        theirs["spec"] = {
            "template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}
        }
        both = await apply(ask, WEB, theirs, "you")
        containers = both.doc["spec"]["template"]["spec"]["containers"]
        assert {c["name"] for c in containers} == {"web", "side"}
        one = await apply(ask, WEB, deployment())
        assert len(one.doc["spec"]["template"]["spec"]["containers"]) == 2


async def test_a_dry_run_changes_nothing() -> None:
    async with kube() as ask:
        dry = await apply(ask, f"{MAPS}/one", config(a="1"), more="&dryRun=All")
        assert dry.status == 201
        assert (await ask("GET", f"{MAPS}/one")).status == 404


async def test_scale_and_status_are_applied_to() -> None:
    async with kube() as ask:
        await ask("POST", WEB.rpartition("/")[0], deployment(replicas=1))
        scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 4}}
        scaled = await apply(ask, f"{WEB}/scale", scale, more="&force=true")
        assert (scaled.status, scaled.doc["spec"]["replicas"]) == (200, 4)
        status = {**deployment(replicas=9), "status": {"observedGeneration": 1}}
        done = await apply(ask, f"{WEB}/status", status)
        assert done.doc["status"]["observedGeneration"] == 1
        assert done.doc["spec"]["replicas"] == 4
        marked = {(e["operation"], e.get("subresource")) for e in _entries(done)}
        assert {("Apply", "scale"), ("Apply", "status")} <= marked


async def test_status_of_nothing_is_not_created() -> None:
    async with kube() as ask:
        assert (await apply(ask, f"{WEB}/status", deployment())).status == 404


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"metadata": {"name": "two"}}, 400, "does not match the name on the URL"),
        ({"metadata": {"name": "one", "namespace": "x"}}, 400, "does not match the namespace"),
        ({"metadata": {"name": "one", "managedFields": []}}, 400, "managedFields must be nil"),
        ({"kind": "Secret"}, 400, "invalid object type: /v1, Kind=Secret"),
        ({"surprise": 1}, 400, ".surprise: field not declared in schema"),
        ({"data": {"a": 1}}, 400, "cannot unmarshal"),
        ({"metadata": {"name": "one", "uid": "u"}}, 409, "uid mismatch"),
    ],
)
async def test_what_does_not_fit_is_refused(change: Any, code: int, said: str) -> None:
    async with kube() as ask:
        refused = await apply(ask, f"{MAPS}/one", {**config(a="1"), **change})
        assert refused.status == code
        assert said in refused.doc["message"]


async def test_items_must_be_told_apart() -> None:
    async with kube() as ask:
        doubled = deployment()
        doubled["spec"]["template"]["spec"]["containers"] *= 2
        refused = await apply(ask, WEB, doubled)
        assert refused.status == 400
        assert "duplicate entries for key" in refused.doc["message"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "fieldManager: Required value: is required for apply patch"),
        ("?fieldManager=" + "m" * 129, "Too long: may not be more than 128 bytes"),
        ("?fieldManager=a\tb", "invalid character U+0009 (at position 1)"),
    ],
)
async def test_an_applier_says_who_it_is(query: str, said: str) -> None:
    async with kube() as ask:
        refused = await ask("PATCH", f"{MAPS}/one{query}", config(), content_type=APPLY)
        assert refused.status == 422
        assert said in refused.doc["message"]


async def test_what_nobody_was_recorded_for_conflicts_with_before_first_apply() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config(a="1"))
        cleared: dict[str, Any] = {"metadata": {"managedFields": [{}]}}
        await ask("PATCH", f"{MAPS}/one", cleared, content_type=MERGE)
        refused = await apply(ask, f"{MAPS}/one", config(a="2"))
        assert 'conflict with "before-first-apply" using v1' in refused.doc["message"]


def _entries(answer: Answer) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = answer.doc["metadata"]["managedFields"]
    return entries
