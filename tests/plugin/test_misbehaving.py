"""A thousand nodes, and the pods on them, misbehave on command."""

from __future__ import annotations

import pytest

from longshore.testing.kube import Kube
from longshore.testing.kube.errors import Refused

TOLD = "longshore.io/hollow"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 20
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {longshore.io/hollow: "unready for 30"}}
    spec: {containers: [{name: web, image: nginx}]}
"""


def tell(kube: Kube, nodes: int, says: str | None) -> None:
    for number in range(1, nodes + 1):
        kube.patch(f"node/node-{number}", {"metadata": {"annotations": {TOLD: says}}})


def ready_nodes(kube: Kube) -> int:
    return sum(
        one.status == "True"
        for node in kube.list("nodes")
        for one in node.status.conditions
        if one.type == "Ready"
    )


@pytest.mark.slow
@pytest.mark.kube(nodes=1000)
def test_a_thousand_nodes_fall_silent_and_come_back(kube: Kube) -> None:
    kube.apply(WEB)
    kube.clock.advance("20s")
    assert not kube.get("deploy/web").status.get("readyReplicas")
    kube.clock.advance("15s")
    assert kube.get("deploy/web").status.readyReplicas == 20
    tell(kube, 600, "silent")
    kube.clock.advance("2m")
    assert ready_nodes(kube) == 400
    tell(kube, 600, None)
    kube.clock.advance("30s")
    assert ready_nodes(kube) == 1000


def test_a_command_that_nobody_understands_is_refused(kube: Kube) -> None:
    with pytest.raises(Refused, match='"sulk" is none of: silent'):
        tell(kube, 1, "sulk")
