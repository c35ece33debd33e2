"""What tests write, read without a cluster: names, durations, conditions, sources, patterns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.doors.kit.http import Request
from longshore.testing.kube import manifests
from longshore.testing.kube.conditions import condition_of
from longshore.testing.kube.documents import Document
from longshore.testing.kube.faults import Fault
from longshore.testing.kube.naming import kind_of, path_of, ref_of, seconds

POD: Doc = {
    "metadata": {"name": "p", "generation": 2},
    "spec": {"nodeName": "n"},
    "status": {
        "phase": "Running",
        "podIP": "",
        "conditions": [
            {"type": "Ready", "status": "False"},
            {"type": "Available", "status": "True"},
            {"type": "Stale", "status": "True", "observedGeneration": 1},
        ],
        "containerStatuses": [{"ready": True, "restartCount": 3}],
    },
}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("deploy", kinds.DEPLOYMENT),
        ("Deployment.apps", kinds.DEPLOYMENT),
        ("hpa", kinds.HPA),
        ("events", kinds.EVENT),
        ("event.events.k8s.io", kinds.EVENT_V1),
        ("no", kinds.NODE),
    ],
)
def test_kinds_have_many_names(word: str, kind: Kind) -> None:
    assert kind_of(word) is kind


def test_names() -> None:
    ref = ref_of("pdb/web", "shop")
    where = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/web"
    assert path_of(ref.kind, ref.namespace, ref.name) == where
    assert ref_of("node/n", "shop").namespace == ""
    for wrong in ("web", "deploy/", "a/b/c", "nothing/web"):
        with pytest.raises(ValueError, match=wrong.partition("/")[0]):
            ref_of(wrong, "")


def test_durations() -> None:
    assert [seconds(said) for said in ("250ms", "1m30s", "2h", "1d", 3)] == [
        0.25,
        90,
        7200,
        86400,
        3,
    ]
    for wrong in ("5", "5 s", "1x", ""):
        with pytest.raises(ValueError, match="is no duration"):
            seconds(wrong)


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ("Ready", False),
        ("ready=false", True),
        ("Available", True),
        ("Stale", False),
        ("Unknown", False),
        ("exists", True),
        ("status.phase=Running", True),
        ("{.status.phase}=Pending", False),
        ("jsonpath='{.status.phase}'=Running", True),
        ("status.podIP", False),
        ("spec.nodeName", True),
        ("status.containerStatuses[0].ready=true", True),
        ("status.containerStatuses[0].restartCount=3", True),
        ("status.containerStatuses[1].ready", False),
        (lambda pod: pod.status.phase == "Running", True),
    ],
)
def test_conditions(wanted: Any, holds: bool) -> None:
    condition = condition_of(wanted)
    assert condition.holds(POD) is holds
    assert not condition.holds(None)


def test_documents_have_attributes() -> None:
    pod = Document({"kind": "Pod", **POD})
    assert pod.status.containerStatuses[0].restartCount == 3
    assert pod == {"kind": "Pod", **POD}
    with pytest.raises(AttributeError, match="Pod p has no field stauts"):
        _ = pod.stauts


def test_what_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, error, why in (
        ("missing.yaml", FileNotFoundError, "missing.yaml"),
        ("empty", FileNotFoundError, "has no files that end in"),
        ("a: [\n", ValueError, "is not YAML"),
        ("- a\n- b\n", ValueError, "an object was expected"),
        ({"kind": "Pod"}, ValueError, "apiVersion and kind are not both there"),
    ):
        with pytest.raises(error, match=why):
            manifests.read([source], tmp_path)


@pytest.mark.parametrize(
    ("pattern", "method", "path", "meets"),
    [
        ("PATCH pods/*", "PATCH", "/api/v1/namespaces/a/pods/p", True),
        ("PATCH pods/*", "PATCH", "/api/v1/namespaces/a/pods/p/status", False),
        ("PATCH pods/*/status", "PATCH", "/api/v1/namespaces/a/pods/p/status", True),
        ("patch pods/q", "PATCH", "/api/v1/namespaces/a/pods/p", False),
        ("* pods", "GET", "/api/v1/pods", True),
        ("list pods", "GET", "/api/v1/pods", True),
        ("watch pods", "GET", "/api/v1/pods", False),
        ("get pods", "GET", "/api/v1/pods", False),
        ("GET /api*", "GET", "/api/v1/pods", True),
        ("* *", "GET", "/version", True),
        ("create deployments", "POST", "/apis/apps/v1/namespaces/a/deployments", True),
        ("deletecollection *", "DELETE", "/api/v1/namespaces/a/pods", True),
    ],
)
def test_patterns_of_requests(pattern: str, method: str, path: str, meets: bool) -> None:
    assert Fault(pattern, 500, 1).meets(Request(method, path, {}, {}, b"", None, path)) is meets


def test_a_watch_is_one_by_its_query() -> None:
    watch = Request("GET", "/api/v1/pods", {"watch": ["true"]}, {}, b"", None)
    assert Fault("watch pods", "drop", 1).meets(watch)
    assert not Fault("list pods", "drop", 1).meets(watch)
    assert not Fault("watch pods", "drop", 0).meets(watch)
