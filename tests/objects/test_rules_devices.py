"""What is refused of device classes, claims, slices and taints, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds, meta
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.rules import validate_create, validate_update

EXACT = {"deviceClassName": "gpu"}
PLACE = {"driver": "dra.example.com", "pool": {"name": "p", "resourceSliceCount": 1}}
RESULT = {"request": "a", "driver": "dra.example.com", "pool": "p", "device": "d"}
ALLOCATION = {"devices": {"results": [RESULT]}}
USER = {"resource": "pods", "name": "p", "uid": "u"}


def claim(**devices: Any) -> Doc:
    devices.setdefault("requests", [{"name": "a", "exactly": EXACT}])
    return _made(kinds.RESOURCE_CLAIM, {"devices": devices})


def exactly(**more: Any) -> Doc:
    return claim(requests=[{"name": "a", "exactly": {**EXACT, **more}}])


def device_slice(*devices: Doc, **spec: Any) -> Doc:
    given = {**PLACE, **(spec or {"nodeName": "n1"})}
    return _made(kinds.RESOURCE_SLICE, {**given, "devices": list(devices)})


def device(**more: Any) -> Doc:
    return device_slice({"name": "d", **more})


def _made(kind: Kind, spec: Doc) -> Doc:
    metadata = {"name": "x", **({"namespace": "default"} if kind.namespaced else {})}
    return default(kind, {"metadata": metadata, "spec": spec})


def said(kind: Kind, doc: Doc) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in validate_create(kind, doc)]


def cel(expression: str) -> list[Doc]:
    return [{"cel": {"expression": expression}}]


@pytest.mark.parametrize(
    ("doc", "words"),
    [
        (exactly(selectors=cel("1 +")),
         'spec.devices.requests[0].exactly.selectors[0].cel.expression: Invalid value: "1 +": '
         "compilation failed: ERROR: <input>:1:"),
        (exactly(selectors=cel("device.driver")),
         "spec.devices.requests[0].exactly.selectors[0].cel.expression: Invalid value: "
         '"device.driver": must evaluate to bool or the unknown type, not string'),
        (exactly(selectors=cel(f'"{"x" * 10240}" == ""')),
         "spec.devices.requests[0].exactly.selectors[0].cel.expression: Too long: may not be more "
         "than 10240 bytes"),
        (exactly(selectors=cel(
            "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, "
            "device.attributes.all(d, a == b))))")),
         "spec.devices.requests[0].exactly.selectors[0].cel.expression: Forbidden: too complex, "
         "exceeds cost limit"),
        (exactly(selectors=[{}]),
         "spec.devices.requests[0].exactly.selectors[0].cel: Required value"),
        (exactly(capacity={"requests": {"memory": "1Gi"}}),
         "spec.devices.requests[0].exactly.capacity: Forbidden: not supported"),
        (exactly(tolerations=[{"operator": "Equal"}]),
         "spec.devices.requests[0].exactly.tolerations[0].operator: Invalid value: \"Equal\": must "
         "be equal to Exists when `key` is empty"),
        (exactly(allocationMode="All", count=2),
         "spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when "
         "allocationMode is 'All'"),
        (claim(constraints=[{"requests": ["b"], "matchAttribute": "dra.example.com/numa"}]),
         'spec.devices.constraints[0].requests[0]: Invalid value: "b": must be the name of a '
         "request in the claim or the name of a request and a subrequest separated by '/'"),
        (claim(constraints=[{}]),
         'spec.devices.constraints[0]: Required value: exactly one of "matchAttribute" or '
         '"distinctAttribute" is required'),
        (claim(constraints=[{"matchAttribute": "numa"}]),
         'spec.devices.constraints[0].matchAttribute: Invalid value: "numa": must include a domain'),
        (claim(constraints=[{"requests": ["a", "a"], "matchAttribute": "x.io/numa"}]),
         'spec.devices.constraints[0].requests[1]: Duplicate value: "a"'),
        (claim(config=[{}]), "spec.devices.config[0].opaque: Required value"),
        (claim(config=[{"opaque": {"driver": "x.io", "parameters": {"a": "x" * 10240}}}]),
         "spec.devices.config[0].opaque.parameters: Too long: may not be more than 10240 bytes"),
    ],
)  # fmt: skip
def test_claims_are_refused_in_upstreams_words(doc: Doc, words: str) -> None:
    assert any(one.startswith(words) for one in said(kinds.RESOURCE_CLAIM, doc))


@pytest.mark.parametrize(
    ("doc", "words"),
    [
        (device_slice(allNodes=True, nodeName="n1"),
         'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, '
         "`nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields "
         "are set"),
        (device(attributes={"a": {}}),
         'spec.devices[0].attributes[a]: Invalid value: "": exactly one value must be specified'),
        (device(attributes={"a": {"version": "1.2"}}),
         'spec.devices[0].attributes[a].version: Invalid value: "1.2": must be a string '
         "compatible with semver.org spec 2.0.0"),
        (device(attributes={"a": {"string": "x" * 65}}),
         "spec.devices[0].attributes[a].string: Too long: may not be more than 64 bytes"),
        (device(attributes={f"a{n}": {"int": n} for n in range(33)}),
         "spec.devices[0]: Invalid value: 33: the total number of attributes and capacities must "
         "not exceed 32"),
        (device(attributes={"a": {"ints": [1]}}),
         "spec.devices[0].attributes[a].ints: Forbidden: not supported"),
        (device(allowMultipleAllocations=True),
         "spec.devices[0].allowMultipleAllocations: Forbidden: not supported"),
        (device(bindingConditions=["ready"]),
         "spec.devices[0].bindingConditions: Forbidden: not supported"),
        (device(nodeName="n1"),
         "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only "
         "be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec"),
        (device_slice({"name": "d"}, perDeviceNodeSelection=True),
         "spec.devices[0]: Required value: exactly one of `nodeName`, `nodeSelector`, or "
         "`allNodes` is required when `perDeviceNodeSelection` is set to true in the "
         "ResourceSlice spec"),
        (device(taints=[{"key": "a", "effect": "Never"}]),
         'spec.devices[0].taints[0].effect: Unsupported value: "Never": supported values: '
         '"NoExecute", "NoSchedule", "None"'),
        (device(consumesCounters=[{"counterSet": "c", "counters": {}}]),
         "spec.devices[0].consumesCounters[0].counters: Required value"),
        (device_slice(*({"name": f"d{n}"} for n in range(129))),
         "spec.devices: Too many: 129: must have at most 128 items"),
        (device_slice(*({"name": f"d{n}", "taints": [{"key": "a", "effect": "None"}]}
                        for n in range(65))),
         "spec.devices: Too many: 65: must have at most 64 items"),
    ],
)  # fmt: skip
def test_slices_are_refused_in_upstreams_words(doc: Doc, words: str) -> None:
    assert words in said(kinds.RESOURCE_SLICE, doc)


def test_classes_are_refused_in_upstreams_words() -> None:
    doc = {
        "metadata": {"name": "x"},
        "spec": {"extendedResourceName": "a.io/b", "selectors": cel("x")},
    }
    told = said(kinds.DEVICE_CLASS, doc)
    assert "spec.extendedResourceName: Forbidden: not supported" in told
    assert any("undeclared reference to 'x'" in one for one in told)


def status(**fields: Any) -> Doc:
    return {**claim(), "status": fields}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (status(), status(reservedFor=[USER]),
         "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"),
        (status(), status(allocation={"devices": {"results": [{**RESULT, "request": "b"}]}}),
         'status.allocation.devices.results[0].request: Invalid value: "b": must be the name of a '
         "request in the claim or the name of a request and a subrequest separated by '/'"),
        (status(allocation=ALLOCATION),
         status(allocation=ALLOCATION, reservedFor=[{**USER, "uid": str(n)} for n in range(257)]),
         "status.reservedFor: Too many: 257: must have at most 256 items"),
        (status(allocation=ALLOCATION), status(allocation=ALLOCATION, reservedFor=[USER, USER]),
         'status.reservedFor[1].uid: Duplicate value: "u"'),
        (status(allocation=ALLOCATION),
         status(allocation=ALLOCATION, devices=[{**RESULT, "device": "e"}]),
         'status.devices[0]: Invalid value: "dra.example.com/p/e": must be an allocated device in '
         "the claim"),
    ],
)  # fmt: skip
def test_statuses_are_refused_in_upstreams_words(before: Doc, after: Doc, words: str) -> None:
    assert words in _said_of_status(before, after)


def test_an_allocation_is_immutable() -> None:
    other = {"devices": {"results": [{**RESULT, "device": "e"}]}}
    told = _said_of_status(status(allocation=ALLOCATION), status(allocation=other))
    assert [one.partition("{")[0] for one in told] == ["status.allocation: Invalid value: "]
    assert told[0].endswith("field is immutable")
    assert not _said_of_status(status(allocation=ALLOCATION, reservedFor=[USER]), status())


def test_nobody_joins_a_claim_that_goes() -> None:
    going = {"deletionTimestamp": "2030-01-01T00:00:00Z", "finalizers": ["x.io/y"]}
    before = status(allocation=ALLOCATION)
    before["metadata"] = {**before["metadata"], **going}
    after = {**before, "status": {"allocation": ALLOCATION, "reservedFor": [USER]}}
    assert _said_of_status(before, after) == [
        "status.reservedFor: Forbidden: new entries may not be added while `deallocationRequested` "
        "or `deletionTimestamp` are set"
    ]


def _said_of_status(before: Doc, after: Doc) -> list[str]:
    kind = kinds.RESOURCE_CLAIM
    new = meta.prepare_update(kind, after, before, subresource="status")
    causes = validate_update(kind, new, before, "status")
    return [f"{cause.field}: {cause.message}" for cause in causes]


def pod(claims: list[Doc], *used: Doc) -> Doc:
    container = {"name": "c", "image": "i", "resources": {"claims": list(used)}}
    spec = {"containers": [container], "resourceClaims": claims}
    return default(kinds.POD, {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})


ONE = {"name": "gpu", "resourceClaimName": "one"}


@pytest.mark.parametrize(
    ("doc", "words"),
    [
        (pod([{"name": "gpu"}]),
         'spec.resourceClaims[0]: Invalid value: {"name":"gpu"}: must specify one of: '
         "`resourceClaimName`, `resourceClaimTemplateName`"),
        (pod([{**ONE, "resourceClaimTemplateName": "t"}]),
         "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"),
        (pod([ONE, ONE]), 'spec.resourceClaims[1].name: Duplicate value: "gpu"'),
        (pod([{**ONE, "resourceClaimName": "A B"}]),
         'spec.resourceClaims[0].resourceClaimName: Invalid value: "A B": '),
        (pod([ONE], {"name": "fpga"}),
         'spec.containers[0].resources.claims[0]: Not found: "fpga": must be one of the names in '
         "pod.spec.resourceClaims: gpu"),
        (pod([], {"name": "gpu"}),
         'spec.containers[0].resources.claims[0]: Not found: "gpu": must be one of the names in '
         "pod.spec.resourceClaims which is empty"),
        (pod([ONE], {"name": "gpu"}, {"name": "gpu", "request": "a"}),
         'spec.containers[0].resources.claims[1]: Duplicate value: "gpu"'),
        (pod([ONE], {"name": "gpu", "request": "a"}, {"name": "gpu"}),
         'spec.containers[0].resources.claims[1]: Duplicate value: "gpu"'),
    ],
)  # fmt: skip
def test_pods_claims_are_refused_in_upstreams_words(doc: Doc, words: str) -> None:
    assert any(words in one for one in said(kinds.POD, doc))


def test_a_pod_that_names_its_claims_well_is_let_in() -> None:
    assert not said(
        kinds.POD, pod([ONE], {"name": "gpu", "request": "a"}, {"name": "gpu", "request": "b"})
    )
