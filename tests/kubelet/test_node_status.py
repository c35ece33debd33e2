"""What an agent tells of its node is what it reads back, lest it tells it again and again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from longshore.core.objects.kinds import NODE
from longshore.core.objects.validation import check
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow.nodes import HOLLOW_FACTS
from longshore.machinery.kubelet.node.machine import machine_facts
from longshore.machinery.kubelet.node.plan import DeviceCounts, materially_equal, node_status
from longshore.machinery.kubelet.resource_settings import ResourceSettings
from longshore.machinery.kubelet.statistics.configuration import kubelet_configuration

CONFIG = KubeletConfig(
    "node-1", Path("/var/lib/kubelet"), "10.90.0.11",
    capacity={"cpu": "4000m", "memory": "8192Mi", "ephemeral-storage": "1048576Ki"},
    resources=ResourceSettings(kube_reserved={"cpu": "0.5", "memory": "1024Mi"}),
)  # fmt: skip


def test_a_nodes_resources_are_told_in_canonical_forms() -> None:
    many = {"example.com/port": "1000"}
    facts = replace(HOLLOW_FACTS, devices=DeviceCounts(many, many))
    status = node_status(CONFIG, facts, (), {}, 0.0)
    assert check(NODE, {"status": status}).doc["status"] is status
    assert status["capacity"] | {"pods": ""} == {
        "cpu": "4", "memory": "8Gi", "ephemeral-storage": "1Gi", "pods": "", "example.com/port": "1k",
    }  # fmt: skip
    assert status["allocatable"]["cpu"] == "3500m"
    assert status["allocatable"]["memory"] == "7Gi"
    assert materially_equal(node_status(CONFIG, facts, (), status, 60.0), status)


def test_so_are_those_of_this_machine(tmp_path: Path) -> None:
    plain = KubeletConfig("node-1", tmp_path, "10.90.0.11")
    status = node_status(plain, machine_facts(tmp_path), (), {}, 0.0)
    assert check(NODE, {"status": status}).doc["status"] is status
    assert status["capacity"].keys() >= {"cpu", "memory", "ephemeral-storage", "pods"}


def test_spans_of_time_are_told_as_go_writes_them() -> None:
    told = kubelet_configuration(CONFIG)
    assert told["evictionPressureTransitionPeriod"] == "5m0s"
    assert told["imageMinimumGCAge"] == "2m0s"
    assert told["podPidsLimit"] == -1
