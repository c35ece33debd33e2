"""When the users of a claim have to leave its devices. Pure; rules: pkg/controller/devicetainteviction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.device_claims import status_of
from longshore.core.objects.kinds import Doc

_NO_EXECUTE = "NoExecute"
REASON = "DeletionByDeviceTaintManager"
MESSAGE = "Device Taint manager: deleting due to NoExecute taint"
EVENT, EVENT_MESSAGE = "DeviceTaintManagerEviction", "Marking for deletion"
_SELECTED = ("driver", "pool", "device")


def results(claim: Doc) -> list[Doc]:
    """The devices that a claim has been given."""
    allocation = status_of(claim).get("allocation") or {}
    found: list[Doc] = (allocation.get("devices") or {}).get("results") or []
    return found


def evicts(doc: Doc) -> bool:
    """Whether a slice or a rule has a taint for which pods may have to leave."""
    spec = doc["spec"]
    taints = [
        spec.get("taint") or {},
        *(t for d in spec.get("devices") or () for t in d.get("taints") or ()),
    ]
    return any(one.get("effect") == _NO_EXECUTE for one in taints)


def meant(rule: Doc, result: Doc) -> bool:
    """Whether a rule taints a device that was allocated; where it says nothing it means every one."""
    chosen = rule["spec"].get("deviceSelector") or {}
    return all(chosen.get(word, result[word]) == result[word] for word in _SELECTED)


def eviction_s(claim: Doc, slices: Iterable[Doc], rules: Iterable[Doc]) -> float | None:
    """When users have to leave, in seconds since the epoch; None for never. slices: those of the
    claim's pools."""
    parts, given = list(slices), list(rules)
    times = [
        _time(taint, result, since)
        for result in results(claim)
        for taint, since in _taints(result, parts, given)
    ]
    return min((time for time in times if time is not None), default=None)


def _taints(result: Doc, slices: list[Doc], rules: list[Doc]) -> Iterator[tuple[Doc, str]]:
    """The taints for which a device is to be left, each with since when there is what says so."""
    for part in slices:
        spec, made = part["spec"], part["metadata"]["creationTimestamp"]
        if (spec["driver"], spec["pool"]["name"]) != (result["driver"], result["pool"]):
            continue
        for device in spec.get("devices") or ():
            if device["name"] == result["device"]:
                yield from ((taint, made) for taint in device.get("taints") or ())
    for rule in rules:
        if meant(rule, result):
            yield rule["spec"]["taint"], rule["metadata"]["creationTimestamp"]


def _time(taint: Doc, result: Doc, since: str) -> float | None:
    if taint["effect"] != _NO_EXECUTE:
        return None
    tolerated = [one for one in result.get("tolerations") or () if _tolerates(one, taint)]
    if any("tolerationSeconds" not in one for one in tolerated):
        return None
    wait_s = min((max(0, one["tolerationSeconds"]) for one in tolerated), default=0)
    return parse_rfc3339(taint.get("timeAdded") or since) + float(wait_s)


def _tolerates(toleration: Doc, taint: Doc) -> bool:
    """Only those that are for NoExecute count here."""
    if toleration.get("effect") != _NO_EXECUTE:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or toleration.get("value", "") == taint.get("value", "")


def leaving(claim: Doc, pods: Iterable[Doc]) -> list[Doc]:
    """Of some pods those that use the claim on a node and are not on their way out."""
    users = {one["uid"] for one in status_of(claim).get("reservedFor") or ()}
    return [
        pod
        for pod in pods
        if pod["metadata"]["uid"] in users
        and pod["spec"].get("nodeName")
        and "deletionTimestamp" not in pod["metadata"]
    ]
