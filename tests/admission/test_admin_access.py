"""Who may use devices that others have: whoever is in a namespace that is labelled for it."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind

from .rig import admitting, make, path_of

ADMIN = {"requests": [{"name": "a", "exactly": {"deviceClassName": "gpu", "adminAccess": True}}]}
LABEL = {"labels": {"resource.kubernetes.io/admin-access": "true"}}
WHY = (
    "Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` "
    "label on the containing namespace"
)


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        (kinds.RESOURCE_CLAIM, {"devices": ADMIN}, "spec.devices"),
        (kinds.RESOURCE_CLAIM_TEMPLATE, {"spec": {"devices": ADMIN}}, "spec.spec.devices"),
    ],
)
async def test_a_namespace_without_the_label(kind: Kind, spec: Doc, path: str) -> None:
    async with admitting() as api:
        body = {"metadata": {"name": "one"}, "spec": spec}
        answer = await api("POST", path_of(kind), body)
        assert answer.status == 422
        assert f"{path}.requests[0].adminAccess: {WHY}" in answer.doc["message"]
        await make(api, kinds.NAMESPACE, "drivers", metadata=LABEL)
        await make(api, kind, "one", "drivers", spec=spec)


async def test_nor_is_it_granted_there() -> None:
    async with admitting() as api:
        plain = {"requests": [{"name": "a", "exactly": {"deviceClassName": "gpu"}}]}
        made = await make(api, kinds.RESOURCE_CLAIM, "one", spec={"devices": plain})
        result = {"request": "a", "driver": "d.io", "pool": "p", "device": "d", "adminAccess": True}
        status = {"allocation": {"devices": {"results": [result]}}}
        at = f"{path_of(kinds.RESOURCE_CLAIM)}/one/status"
        answer = await api("PUT", at, {**made, "status": status})
        assert answer.status == 422
        assert f"status.allocation.devices.results[0].adminAccess: {WHY}" in answer.doc["message"]
