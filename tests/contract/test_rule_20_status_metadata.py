"""Rule 20: what of an object's metadata a status write changes, and whoever applies one owns."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from tests.contract.addresses import collection
from tests.doors.rig import kube
from tests.objects.valid import valid

MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
CHANGE: Doc = {"metadata": {"labels": {"l": "1"}, "annotations": {"a": "1"}}}


@pytest.mark.parametrize(
    ("kind", "labels", "annotations"),
    [
        (kinds.POD, True, True),
        (kinds.PVC, True, True),
        (kinds.DEPLOYMENT, False, True),
        (kinds.SERVICE_CIDR, False, False),
        (kinds.FLOW_SCHEMA, False, False),
        (kinds.VOLUME_ATTACHMENT, False, False),
        (kinds.RESOURCE_CLAIM, False, False),
    ],
    ids=str,
)
async def test_labels_and_annotations_through_a_status(
    kind: Kind, labels: bool, annotations: bool
) -> None:
    async with kube() as ask:
        body = valid(kind)
        assert (await ask("POST", collection(kind), body)).status == 201
        path = f"{collection(kind)}/{body['metadata']['name']}/status"
        patched = await ask("PATCH", path, CHANGE, content_type=MERGE)
        assert patched.status == 200, patched.doc
        metadata = patched.doc["metadata"]
        assert ("l" in metadata.get("labels", {})) is labels
        assert ("a" in metadata.get("annotations", {})) is annotations


@pytest.mark.parametrize("kind", [kinds.DEPLOYMENT, kinds.SERVICE_CIDR, kinds.PVC], ids=str)
async def test_what_is_left_as_it_is_is_not_owned_either(kind: Kind) -> None:
    async with kube() as ask:
        body = valid(kind)
        await ask("POST", collection(kind), body)
        name = body["metadata"]["name"]
        config = {
            "apiVersion": kind.api_version, "kind": kind.name,
            "metadata": {"name": name, **CHANGE["metadata"]},
        }  # fmt: skip
        path = f"{collection(kind)}/{name}/status?fieldManager=me"
        applied = await ask("PATCH", path, config, content_type=APPLY)
        assert applied.status == 200, applied.doc
        entries = applied.doc["metadata"]["managedFields"]
        mine = [one["fieldsV1"]["f:metadata"] for one in entries if one["manager"] == "me"]
        owned = {field for fields in mine for field in fields}
        shown = applied.doc["metadata"]
        assert ("f:labels" in owned) is ("l" in shown.get("labels", {}))
        assert ("f:annotations" in owned) is ("a" in shown.get("annotations", {}))
