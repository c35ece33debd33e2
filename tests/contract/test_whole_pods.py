"""A pod's class of service follows what it asks for in the end (KEP-2837)."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import Doc
from tests.doors.rig import kube, pod

PODS = "/api/v1/namespaces/default/pods"
_ALL = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("whole", "container", "expected"),
    [
        ({"limits": _ALL}, {}, "Guaranteed"),
        ({"limits": _ALL}, {"requests": {"cpu": "500m"}}, "Burstable"),
        ({"requests": _ALL}, {"limits": _ALL}, "Guaranteed"),
        ({}, {"limits": _ALL}, "Guaranteed"),
        ({}, {}, "BestEffort"),
    ],
)
async def test_the_class_is_told_when_all_is_filled_in(
    whole: Doc, container: Doc, expected: str
) -> None:
    async with kube() as ask:
        body = pod("p")
        body["spec"]["resources"] = whole
        body["spec"]["containers"][0]["resources"] = container
        made = await ask("POST", PODS, body)
        assert made.status == 201, made.doc
        assert made.doc["status"]["qosClass"] == expected
