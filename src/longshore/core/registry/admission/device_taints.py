"""A device's taint says since when it is there (SetDefaults_DeviceTaint in pkg/apis/resource/v1)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.base.clock import Clock, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks


def hooks(clock: Clock) -> Hooks:
    def dated(request: Attributes) -> None:
        for taint in _taints(request.doc.get("spec") or {}):
            taint.setdefault("timeAdded", rfc3339(clock.now()))

    given = (kinds.RESOURCE_SLICE, kinds.DEVICE_TAINT_RULE)
    return Hooks(changes=(Hook(dated, given, ("create", "update")),))


def _taints(spec: Doc) -> Iterator[Doc]:
    if spec.get("taint"):
        yield spec["taint"]
    for device in spec.get("devices") or ():
        yield from device.get("taints") or ()
