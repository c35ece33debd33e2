"""What kubectl get shows, against the words that operators know."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.columns import printer
from longshore.core.objects.columns.form import told
from longshore.core.objects.kinds import KINDS, Doc, Kind
from longshore.core.objects.pod_status import pod_cells, pod_reason
from longshore.core.objects.spans import human_span

BORN = "2026-01-01T00:00:00Z"
NOW = 1_767_225_600.0 + 3600


def meta(**more: Any) -> Doc:
    return {"name": "x", "creationTimestamp": BORN, **more}


def status_of(name: str, *, ready: bool = False, restarts: int = 0, **state: Any) -> Doc:
    return {"name": name, "ready": ready, "restartCount": restarts, "state": state}


def a_pod(phase: str = "Running", *statuses: Doc, **more: Any) -> Doc:
    spec = {"containers": [{"name": s["name"]} for s in statuses], **more.pop("spec", {})}
    status = {"phase": phase, "containerStatuses": list(statuses), **more.pop("status", {})}
    return {"metadata": meta(**more), "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"), (-1.5, "0s"), (0, "0s"), (119.9, "119s"), (120, "2m"), (270, "4m30s"),
        (600, "10m"), (3600 * 2, "120m"), (3600 * 3, "3h"), (3600 * 3 + 600, "3h10m"),
        (3600 * 9, "9h"), (3600 * 47, "47h"), (86400 * 2, "2d"), (86400 * 3 + 7200, "3d2h"),
        (86400 * 9, "9d"), (86400 * 731, "2y1d"), (86400 * 365 * 9, "9y"),
    ],
)  # fmt: skip
def test_spans_are_short(seconds: float, shown: str) -> None:
    assert human_span(seconds) == shown


RUNNING = status_of("a", ready=True, running={})
CRASHED = status_of("a", restarts=3, waiting={"reason": "CrashLoopBackOff"})
ENDED = status_of("a", terminated={"exitCode": 0, "reason": "Completed"})
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
INIT = {"initContainers": [{"name": "i"}, {"name": "j"}]}


@pytest.mark.parametrize(
    ("pod", "shown"),
    [
        (a_pod("Pending"), "Pending"),
        (a_pod("Running", RUNNING), "Running"),
        (a_pod("Running", CRASHED), "CrashLoopBackOff"),
        (a_pod("Succeeded", ENDED), "Completed"),
        (a_pod("Running", ENDED, status_of("b", ready=True, running={})), "NotReady"),
        (a_pod("Running", ENDED, status_of("b", ready=True, running={}), status=READY), "Running"),
        (a_pod("Failed", status_of("a", terminated={"exitCode": 3})), "ExitCode:3"),
        (a_pod("Failed", status_of("a", terminated={"signal": 9})), "Signal:9"),
        (a_pod("Running", RUNNING, deletionTimestamp=BORN), "Terminating"),
        (a_pod("Succeeded", ENDED, deletionTimestamp=BORN), "Completed"),
        (a_pod("Failed", status={"reason": "Evicted"}), "Evicted"),
        (
            a_pod("Pending", status={"conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}),
            "SchedulingGated",
        ),
        (
            a_pod("Pending", spec=INIT, status={"initContainerStatuses": [
                status_of("i", terminated={"exitCode": 0}), status_of("j", running={})]}),
            "Init:1/2",
        ),
        (
            a_pod("Pending", spec=INIT, status={"initContainerStatuses": [
                status_of("i", waiting={"reason": "ImagePullBackOff"})]}),
            "Init:ImagePullBackOff",
        ),
        (
            a_pod("Pending", spec=INIT, status={"initContainerStatuses": [
                status_of("i", terminated={"exitCode": 1, "reason": "Error"})]}),
            "Init:Error",
        ),
    ],
)  # fmt: skip
def test_a_pods_status_is_what_explains_it_best(pod: Doc, shown: str) -> None:
    assert pod_reason(pod) == shown


def test_a_pods_cells() -> None:
    last = {"lastState": {"terminated": {"finishedAt": "2026-01-01T00:55:00Z"}}}
    sidecar = {"initContainers": [{"name": "s", "restartPolicy": "Always"}], "nodeName": "n1"}
    beside = status_of("s", ready=True, running={}) | {"started": True}
    pod = a_pod(
        "Running", RUNNING | {"restartCount": 2} | last, CRASHED | {"name": "b"},
        spec=sidecar, status={"initContainerStatuses": [beside], "podIPs": [{"ip": "10.42.0.9"}]},
    )  # fmt: skip
    pod["spec"]["readinessGates"] = [{"conditionType": "x"}]
    assert told(pod_cells(pod), NOW) == [
        "2/3", "CrashLoopBackOff", "5 (5m ago)", "10.42.0.9", "n1", "<none>", "0/1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "doc", "cells"),
    [
        (
            kinds.DEPLOYMENT,
            {"spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {
                "containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}}},
             "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}},
            ["x", "2/3", 3, 1, "60m", "c,d", "i,j", "a=b"],
        ),
        (
            kinds.SERVICE,
            {"spec": {"type": "NodePort", "clusterIP": "10.96.0.7", "selector": {"a": "b"},
                      "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}]}},
            ["x", "NodePort", "10.96.0.7", "<none>", "80:30080/TCP", "60m", "a=b"],
        ),
        (
            kinds.SERVICE, {"spec": {"type": "LoadBalancer"}},
            ["x", "LoadBalancer", "<none>", "<pending>", "<none>", "60m", "<none>"],
        ),
        (
            kinds.NODE,
            {"spec": {"unschedulable": True}, "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.90.0.11"}],
                "nodeInfo": {"kubeletVersion": "v1", "osImage": "os", "kernelVersion": "k",
                             "containerRuntimeVersion": "r"}}},
            ["x", "Ready,SchedulingDisabled", "<none>", "60m", "v1", "10.90.0.11", "<none>",
             "os", "k", "r"],
        ),
        (
            kinds.ENDPOINTS,
            {"subsets": [{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(5)],
                          "ports": [{"port": 80}]}]},
            ["x", "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more...", "60m"],
        ),
        (
            kinds.EVENT,
            {"type": "Normal", "reason": "Pulled", "message": " done\n", "count": 4,
             "involvedObject": {"kind": "Pod", "name": "p"}, "source": {"component": "kubelet"},
             "firstTimestamp": BORN, "lastTimestamp": "2026-01-01T00:59:00Z"},
            ["60s", "Normal", "Pulled", "pod/p", "", "kubelet", "done", "60m", 4, "x"],
        ),
        (
            kinds.JOB,
            {"spec": {"completions": 3, "selector": {"matchLabels": {"a": "b"}}},
             "status": {"succeeded": 1, "startTime": "2026-01-01T00:50:00Z"}},
            ["x", "Running", "1/3", "10m", "60m", "", "", "a=b"],
        ),
        (
            kinds.JOB,
            {"spec": {"parallelism": 2}, "status": {
                "conditions": [{"type": "Failed", "status": "True"}]}},
            ["x", "Failed", "0/1 of 2", "", "60m", "", "", "<none>"],
        ),
        (
            kinds.CRON_JOB,
            {"spec": {"schedule": "* * * * *", "suspend": False},
             "status": {"lastScheduleTime": "2026-01-01T00:59:00Z", "active": [{}]}},
            ["x", "* * * * *", "<none>", "False", 1, "60s", "60m", "", "", "<none>"],
        ),
        (
            kinds.DAEMON_SET,
            {"spec": {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}},
             "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1}},
            ["x", 3, 2, 1, 0, 0, "disk=ssd", "60m", "", "", "<none>"],
        ),
        (
            kinds.STATEFUL_SET, {"spec": {"replicas": 2}, "status": {"readyReplicas": 1}},
            ["x", "1/2", "60m", "", ""],
        ),
        (
            kinds.REPLICATION_CONTROLLER, {"spec": {"replicas": 2, "selector": {"a": "b"}}},
            ["x", 2, 0, 0, "60m", "", "", "a=b"],
        ),
        (
            kinds.CONTROLLER_REVISION,
            {"revision": 4, "metadata": meta(ownerReferences=[
                {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}])},
            ["x", "daemonset.apps/d", "4", "60m"],
        ),
        (
            kinds.HPA,
            {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "minReplicas": 1,
                      "maxReplicas": 5, "metrics": [
                {"type": "Resource", "resource": {
                    "name": "cpu", "target": {"averageUtilization": 80}}},
                {"type": "Pods", "pods": {"target": {"averageValue": "2"}}},
                {"type": "Object", "object": {"target": {"value": "3"}}}]},
             "status": {"currentReplicas": 2, "currentMetrics": [
                {"type": "Resource", "resource": {"current": {"averageUtilization": 40}}}]}},
            ["x", "Deployment/d", "cpu: 40%/80%, <unknown>/2 + 1 more...", "1", 5, 2, "60m"],
        ),
        (
            kinds.PDB, {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}},
            ["x", "50%", "N/A", 1, "60m"],
        ),
        (
            kinds.PVC,
            {"spec": {"volumeName": "v", "storageClassName": "fast", "volumeMode": "Block"},
             "status": {"phase": "Bound", "capacity": {"storage": "1Gi"},
                        "accessModes": ["ReadWriteMany", "ReadWriteOnce"]}},
            ["x", "Bound", "v", "1Gi", "RWO,RWX", "fast", "<unset>", "60m", "Block"],
        ),
        (
            kinds.PV,
            {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOncePod"],
                      "persistentVolumeReclaimPolicy": "Retain",
                      "claimRef": {"namespace": "n", "name": "c"}},
             "status": {"phase": "Released"}},
            ["x", "1Gi", "RWOP", "Retain", "Released", "n/c", "", "<unset>", "", "60m", "<unset>"],
        ),
        (
            kinds.RESOURCE_QUOTA,
            {"status": {"hard": {"pods": "10", "limits.cpu": "4", "configmaps": "2"},
                        "used": {"pods": "3", "limits.cpu": "1"}}},
            ["x", "configmaps: 0/2, pods: 3/10", "limits.cpu: 1/4", "60m"],
        ),
        (
            kinds.POD_TEMPLATE,
            {"template": {"metadata": {"labels": {"a": "b"}},
                          "spec": {"containers": [{"name": "c", "image": "i"}]}}},
            ["x", "c", "i", "a=b"],
        ),
        (
            kinds.COMPONENT_STATUS,
            {"conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]},
            ["x", "Healthy", "ok", ""],
        ),
        (kinds.SECRET, {"type": "Opaque", "data": {"a": ""}}, ["x", "Opaque", 1, "60m"]),
        (kinds.LEASE, {"spec": {"holderIdentity": "me"}}, ["x", "me", "60m"]),
    ],
)  # fmt: skip
def test_cells_of_other_kinds(kind: Kind, doc: Doc, cells: list[Any]) -> None:
    assert told(printer(kind).cells({"metadata": meta(), **doc}), NOW) == cells


@pytest.mark.parametrize("kind", KINDS.stored, ids=lambda kind: kind.plural)
def test_every_kind_fills_its_columns_from_nothing(kind: Kind) -> None:
    form = printer(kind)
    assert len(form.cells({"metadata": meta()})) == len(form.columns)
