"""The annotation by which hollow nodes and pods are told to misbehave."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.hollow import (
    ANNOTATION,
    FOREVER,
    NodeBehaviour,
    PodBehaviour,
    node_behaviour,
    pod_behaviour,
)
from longshore.core.objects.rules import validate_create, validate_update


@pytest.mark.parametrize(
    ("text", "behaviour"),
    [
        ("start after 2.5", PodBehaviour(start_s=2.5)),
        ("pull fails", PodBehaviour(pulls_failing=FOREVER)),
        ("pull fails 3 times", PodBehaviour(pulls_failing=3)),
        ("unready", PodBehaviour(unready_from_s=0)),
        ("unready after 10", PodBehaviour(unready_from_s=10)),
        ("unready for 10", PodBehaviour(unready_from_s=0, unready_to_s=10)),
        ("unlive after 30", PodBehaviour(unlive_after_s=30)),
        ("exit 3", PodBehaviour(exit_code=3)),
        ("exit 0 after 5", PodBehaviour(exit_code=0, exit_after_s=5)),
        ("oom after 5", PodBehaviour(exit_code=137, exit_after_s=5, oom=True)),
        ("stop after 20", PodBehaviour(stop_s=20)),
        ("stop never", PodBehaviour(stop_s=FOREVER)),
        (" start  after 1;oom ", PodBehaviour(start_s=1, exit_code=137, oom=True)),
    ],
)
def test_what_a_pod_is_told(text: str, behaviour: PodBehaviour) -> None:
    assert pod_behaviour(text) == behaviour


def test_what_a_node_is_told() -> None:
    assert node_behaviour("silent") == NodeBehaviour(silent_s=FOREVER)
    assert node_behaviour("slow 5") == NodeBehaviour(slow_s=5)
    flaps = node_behaviour("silent for 20 every 60; slow 1")
    assert flaps == NodeBehaviour(silent_s=20, every_s=60, slow_s=1)
    assert [flaps.silence(since) for since in (0, 15, 20, 59, 60, 125)] == [20, 5, 0, 0, 20, 15]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", '"" is none of: start after S, pull fails'),
        ("silent", '"silent" is none of'),
        ("exit -1", '"exit -1" is none of'),
        ("exit 256", "exit code 256 is larger than 255"),
        ("start after nan", "is none of"),
        ("start after 99999999999", "is longer than a year"),
        ("unready;;oom", '"" is none of'),
    ],
)
def test_what_a_pod_does_not_understand(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pod_behaviour(text)


def test_silence_leaves_something() -> None:
    with pytest.raises(ValueError, match="leaves nothing"):
        node_behaviour("silent for 60 every 60")


def test_a_refusal_lists_the_clauses_as_they_are_written() -> None:
    with pytest.raises(ValueError, match="stop") as caught:
        pod_behaviour("sleep")
    assert str(caught.value) == (
        '"sleep" is none of: start after S, pull fails[ N times], unready[ after S| for S], '
        "unlive after S, exit N[ after S], oom[ after S], stop after S|never"
    )


def test_the_api_refuses_what_nobody_would_understand() -> None:
    node = {"metadata": {"name": "n", "annotations": {ANNOTATION: "loud"}}, "spec": {}}
    (cause,) = validate_create(kinds.NODE, node)
    assert cause.field == f"metadata.annotations[{ANNOTATION}]"
    assert cause.message.startswith('Invalid value: "loud": "loud" is none of: silent')
    old = {"metadata": {"name": "n"}, "spec": {}}
    assert validate_update(kinds.NODE, node, old) == [cause]
    other = {"metadata": {"name": "n", "namespace": "d", "annotations": {ANNOTATION: "loud"}}}
    assert validate_create(kinds.CONFIG_MAP, other) == []
