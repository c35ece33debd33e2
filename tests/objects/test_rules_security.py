"""What pods say of who they run as, what confines them, their mounts and how they are ended."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules import validate_create


def causes(one: Doc | None = None, **spec: Any) -> list[str]:
    common = {"image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}
    main: Doc = {"name": "main", **common, **(one or {})}
    whole = {"restartPolicy": "Always", "dnsPolicy": "Default", "containers": [main], **spec}
    doc = {"metadata": {"name": "web", "namespace": "shop"}, "spec": whole}
    return [f"{cause.field}: {cause.message}" for cause in validate_create(kinds.POD, doc)]


def mounting(**mount: Any) -> Doc:
    return {"volumeMounts": [{"name": "data", "mountPath": "/data", **mount}]}


VOLUMES = [{"name": "data", "emptyDir": {}}]
LOCAL = {"type": "Localhost", "localhostProfile": "audit.json"}


@pytest.mark.parametrize(
    ("one", "spec"),
    [
        ({"securityContext": {"seccompProfile": LOCAL, "appArmorProfile": {"type": "RuntimeDefault"}}}, {}),
        ({"securityContext": {"procMount": "Unmasked"}}, {"hostUsers": False}),
        ({}, {"hostPID": True, "hostIPC": True, "shareProcessNamespace": False}),
        ({}, {"securityContext": {"supplementalGroups": [1, 2], "supplementalGroupsPolicy": "Strict"}}),
        ({"lifecycle": {"stopSignal": "SIGRTMIN+15"}}, {"os": {"name": "linux"}}),
        ({**mounting(mountPropagation="Bidirectional"), "securityContext": {"privileged": True}}, {}),
        (mounting(mountPropagation="HostToContainer"), {}),
        (mounting(readOnly=True, recursiveReadOnly="IfPossible", mountPropagation="None"), {}),
        (mounting(recursiveReadOnly="Disabled"), {}),
    ],
)  # fmt: skip
def test_what_may_be(one: Doc, spec: Doc) -> None:
    assert causes(one, volumes=VOLUMES, **spec) == []


CONTEXT = "spec.containers[0].securityContext"
MOUNT = "spec.containers[0].volumeMounts[0]"


@pytest.mark.parametrize(
    ("one", "spec", "said"),
    [
        ({"securityContext": {"procMount": "Unmasked"}}, {},
         f'{CONTEXT}.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`'),
        ({"securityContext": {"procMount": "All"}}, {},
         f'{CONTEXT}.procMount: Unsupported value: "All": supported values: "Default", "Unmasked"'),
        ({"securityContext": {"seccompProfile": {"type": "Localhost"}}}, {},
         f"{CONTEXT}.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost"),
        ({"securityContext": {"seccompProfile": {**LOCAL, "type": "Unconfined"}}}, {},
         f'{CONTEXT}.seccompProfile.localhostProfile: Invalid value: "audit.json": can only be set when seccomp type is Localhost'),
        ({"securityContext": {"seccompProfile": {**LOCAL, "localhostProfile": "../x"}}}, {},
         f"""{CONTEXT}.seccompProfile.localhostProfile: Invalid value: "../x": must not contain '..'"""),
        ({"securityContext": {"appArmorProfile": {"type": "Mine"}}}, {},
         f'{CONTEXT}.appArmorProfile.type: Unsupported value: "Mine": supported values: "Localhost", "RuntimeDefault", "Unconfined"'),
        ({}, {"hostPID": True, "shareProcessNamespace": True},
         "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"),
        ({}, {"securityContext": {"supplementalGroups": [-1]}},
         "spec.securityContext.supplementalGroups[0]: Invalid value: -1: must be between 0 and 2147483647, inclusive"),
        ({}, {"securityContext": {"supplementalGroupsPolicy": "Some"}},
         'spec.securityContext.supplementalGroupsPolicy: Unsupported value: "Some": supported values: "Merge", "Strict"'),
        ({}, {"securityContext": {"sysctls": [{"name": "net.a", "value": "1"}] * 2}},
         'spec.securityContext.sysctls[1].name: Duplicate value: "net.a"'),
        ({"lifecycle": {"stopSignal": "SIGTERM"}}, {},
         "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`"),
        ({"lifecycle": {"stopSignal": "SIGUSR1"}}, {"os": {"name": "windows"}},
         'spec.containers[0].lifecycle.stopSignal: Unsupported value: "SIGUSR1": supported values: "SIGKILL", "SIGTERM"'),
        (mounting(mountPropagation="Bidirectional"), {},
         f"{MOUNT}.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers"),
        (mounting(mountPropagation="All"), {},
         f'{MOUNT}.mountPropagation: Unsupported value: "All": supported values: "Bidirectional", "HostToContainer", "None"'),
        (mounting(recursiveReadOnly="Enabled"), {},
         f"{MOUNT}.recursiveReadOnly: Forbidden: may only be specified when readOnly is true"),
        (mounting(recursiveReadOnly="Enabled", readOnly=True, mountPropagation="HostToContainer"), {},
         f"{MOUNT}.recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified"),
    ],
)  # fmt: skip
def test_what_may_not_be(one: Doc, spec: Doc, said: str) -> None:
    assert causes(one, volumes=VOLUMES, **spec) == [said]
