"""What people read of usage and recommendations, and the patches that follow."""

from __future__ import annotations

import shlex
from typing import Any

import orjson
import pytest

from longshore.cluster.config import ClusterError
from longshore.cluster.recommend import report as advice_report
from longshore.cluster.recommend.plan import Advice, advised
from longshore.cluster.recommend.run import parsed
from longshore.cluster.usage import report
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.usage import containers
from longshore.core.objects.usage.containers import Container, Seen
from longshore.core.objects.usage.reckoning import project_usage
from longshore.core.objects.usage.rings import Folded, History
from longshore.core.objects.usage.series import Series

MIB = 1 << 20
NEEDED_S = 86_400.0


def test_a_sparkline_has_gaps_and_reaches_from_bottom_to_top() -> None:
    assert report.sparkline([0.0, None, 1.0, 2.0, 4.0]) == "▁ ▃▅█"
    assert report.sparkline([]) == ""
    assert report.sparkline([0.0, 0.0]) == "▁▁"


def test_a_chart_is_as_wide_as_it_may_be() -> None:
    assert len(report.means([60] * 1440, [60] * 1440)) == 60
    assert report.means([60, 120], [60, 60]) == [1.0, 2.0]
    assert report.means([60, 0], [60, 0]) == [1.0, None]


def usage_doc() -> Doc:
    minutes = Series(60)
    for minute in range(60):
        busy = 2 if minute >= 30 else 1
        minutes.add(minute * 60, [60, 120, 60 * 250 * busy, 60 * 100, 60 * 1000, 60 * 512, 60 * 10])
    history = History(Folded.nothing(), [minutes])
    return project_usage("shop", history, (0, 3600, 60), whole=True)


def test_a_project_for_people() -> None:
    text = report.of_project(usage_doc(), "1h")
    assert text.splitlines()[0] == (
        "shop: the last 1h, until 1970-01-01T01:00:00Z; something was there for 1h"
    )
    assert "▅" * 30 + "█" * 30 + "  375m of 1 requested (38%), peak 500m" in text
    assert "100Mi of 512Mi requested (20%), peak 100Mi" in text
    assert "in all 0.4 core hours, of 1.0 requested" in text
    assert report.row(usage_doc()) == (
        "shop", "375m", "1", "100Mi", "512Mi", "10Mi", "2", "0.4",
    )  # fmt: skip


def seen(days: float, cores: float = 0.1) -> Seen:
    found = Seen()
    container = Container(found)
    for minute in range(1, int(days * 1440) + 2):
        container.sample(cores, 300 * MIB, minute * 60.0)
    return found


def deployment(**resources: Any) -> Doc:
    container = {"name": "main", "resources": resources}
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [container]}}},
    }


def advice(days: float, kind: str = "Deployment", **resources: Any) -> list[Advice]:
    usage = {
        "metadata": {"namespace": "shop"},
        "spec": {"targetRef": {"kind": kind, "name": "web"}},
        "status": {
            "containers": [
                containers.written("main", seen(days)), containers.written("gone", seen(0.1)),
            ]
        },
    }  # fmt: skip
    return list(advised(deployment(**resources), usage, NEEDED_S))


def test_a_recommendation_says_what_it_saves() -> None:
    (one,) = advice(2, requests={"cpu": "1", "memory": "1Gi"})
    told = advice_report.as_dict(one, NEEDED_S)
    assert told["recommended"]["target"] == {"cpu": "117m", "memory": "363Mi"}
    assert told["saves"] == {"cpu": "2649m", "memory": "1983Mi"}
    assert told["replicas"] == 3
    cells = dict(zip(advice_report.TITLES, advice_report.row(one), strict=True))
    assert cells["WORKLOAD"] == "deployment/web"
    assert cells["CPU"] == "1"
    assert cells["SAVES CPU"] == "2649m"


def test_what_requests_nothing_saves_less_than_nothing() -> None:
    (one,) = advice(2)
    assert advice_report.row(one)[2] == "none"
    assert one.saves().cpu < 0


def test_too_little_history_is_said_by_name() -> None:
    (one,) = advice(0.5, requests={"cpu": "1"})
    assert one.target is None
    (note,) = advice_report.notes([one], NEEDED_S)
    assert note == (
        "deployment/web, main: too little history: measured since 1970-01-01T00:01:00Z, "
        "12.0 hours in all; a recommendation needs 24"
    )
    assert list(advice_report.commands([one])) == []
    assert advice_report.as_dict(one, NEEDED_S)["why"].startswith("too little history")


def test_a_patch_is_for_kubectl() -> None:
    found = advice(2, requests={"cpu": "1"}, limits={"cpu": "50m", "memory": "1Gi"})
    (line,) = advice_report.commands(found)
    words = shlex.split(line)
    assert words[:6] == ["kubectl", "-n", "shop", "patch", "deployment", "web"]
    (container,) = orjson.loads(words[-1])["spec"]["template"]["spec"]["containers"]
    assert container == {
        "name": "main",
        "resources": {"requests": {"cpu": "117m", "memory": "363Mi"}, "limits": {"cpu": "117m"}},
    }


def test_a_job_is_not_patched() -> None:
    (line,) = advice_report.commands(advice(2, kind="Job"))
    assert line.startswith("# job/web: the template of a Job cannot be changed")


@pytest.mark.parametrize("word", ["deployment", "deploy", "deployments", "Deployment"])
def test_workloads_are_named_as_kubectl_names_them(word: str) -> None:
    assert parsed(f"{word}/web") == (kinds.DEPLOYMENT, "web")


@pytest.mark.parametrize("text", ["web", "deploy/", "pod/web", ""])
def test_what_is_no_workload_is_refused(text: str) -> None:
    with pytest.raises(ClusterError, match="no KIND/NAME of a workload"):
        parsed(text)
