"""Rule 18: what the system writes into a new object."""

from __future__ import annotations

import re

import pytest

from longshore.core.objects.kinds import JOB, Kind
from tests.contract.addresses import collection
from tests.doors.rig import kube
from tests.objects.minimal import CASES, minimal

every_kind = pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.name)


@every_kind
async def test_system_fields_are_filled_and_those_of_the_client_dropped(kind: Kind) -> None:
    doc = minimal(kind)
    doc["metadata"] |= {
        "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7,
        "selfLink": "/x", "deletionTimestamp": "2001-01-01T00:00:00Z",
    }  # fmt: skip
    async with kube() as ask:
        answer = await ask("POST", collection(kind), doc)
        assert answer.status == 201, answer.doc
        metadata = answer.doc["metadata"]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", metadata["uid"])
        stamp = metadata["creationTimestamp"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp)
        assert not stamp.startswith("2001")
        assert metadata["resourceVersion"].isdecimal()
        assert metadata.get("generation") == (1 if kind.counted else None)
        assert not {"selfLink", "deletionTimestamp"} & metadata.keys()


@every_kind
async def test_names_are_generated(kind: Kind) -> None:
    doc = minimal(kind)
    del doc["metadata"]["name"]
    doc["metadata"]["generateName"] = "web-"
    async with kube() as ask:
        names = []
        for _ in range(2):
            answer = await ask("POST", collection(kind), doc)
            assert answer.status == 201, answer.doc
            names.append(answer.doc["metadata"]["name"])
    assert all(re.fullmatch(r"web-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)
    assert names[0] != names[1]


@every_kind
async def test_what_contradicts_the_address_is_refused(kind: Kind) -> None:
    doc = minimal(kind)
    async with kube() as ask:
        revised = {**doc, "metadata": {**doc["metadata"], "resourceVersion": "5"}}
        assert (await ask("POST", collection(kind), revised)).status == 400
        if kind.namespaced:
            elsewhere = {**doc, "metadata": {**doc["metadata"], "namespace": "other"}}
            assert (await ask("POST", collection(kind), elsewhere)).status == 400
        assert (await ask("POST", collection(kind), doc)).status == 201
        answer = await ask("PUT", f"{collection(kind)}/other", doc)
        assert answer.status == 400
        again = await ask("POST", collection(kind), doc)
        assert (again.status, again.doc["reason"]) == (409, "AlreadyExists")


async def test_a_job_selects_its_own_pods() -> None:
    async with kube() as ask:
        job = (await ask("POST", collection(JOB), minimal(JOB))).doc
    uid, labels = job["metadata"]["uid"], job["spec"]["template"]["metadata"]["labels"]
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert labels == {
        "app": "web", "controller-uid": uid, "job-name": "web",
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "web",
    }  # fmt: skip


async def test_a_job_with_a_selector_of_its_own_keeps_it() -> None:
    own = {"matchLabels": {"app": "web"}}
    async with kube() as ask:
        body = minimal(JOB, manualSelector=True, selector=own)
        job = (await ask("POST", collection(JOB), body)).doc
    assert job["spec"]["selector"] == own
    assert job["spec"]["template"]["metadata"]["labels"] == {"app": "web"}
