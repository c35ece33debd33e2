"""What a pod is told of itself, in files and in its environment.

Upstream: test/e2e/common/storage/{downwardapi,projected_downwardapi,projected_combined}.go,
test/e2e/common/node/downwardapi.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from longshore.base import quantities

from ..driver import Cluster
from .playing import (
    Case,
    Change,
    Doc,
    Played,
    config_map,
    container,
    namespace,
    play,
    pod,
    ready,
    secret,
    with_volumes,
)

pytestmark = [pytest.mark.root, pytest.mark.slow]

RESOURCES = {
    "requests": {"cpu": "250m", "memory": "32Mi"},
    "limits": {"cpu": "1250m", "memory": "64Mi"},
}
AMOUNTS = {
    "cpu-limit": ("limits.cpu", "1m", "1250"),
    "cpu-request": ("requests.cpu", "1m", "250"),
    "memory-limit": ("limits.memory", "1Mi", "64"),
    "memory-request": ("requests.memory", "1Mi", "32"),
}
UNLIMITED = {
    "cpu-of-the-node": ("limits.cpu", "1m"),
    "memory-of-the-node": ("limits.memory", "1Mi"),
}
NAME = [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]
SHOW = "stat -L -c %a:%u:%g /v/name; cat /v/name"
KINDS = ("downward", "projected")


def volume(kind: str, items: list[Doc], mode: int | None = None) -> Doc:
    modes = {} if mode is None else {"defaultMode": mode}
    if kind == "downward":
        return {"downwardAPI": {"items": items, **modes}}
    return {"projected": {"sources": [{"downwardAPI": {"items": items}}], **modes}}


def amount(resource: str, divisor: str) -> list[Doc]:
    ref = {"containerName": "main", "resource": resource, "divisor": divisor}
    return [{"path": "amount", "resourceFieldRef": ref}]


def of_volume(kind: str) -> list[Case]:
    """What both kinds of volumes do."""
    cases = []
    for name, (resource, divisor, says) in AMOUNTS.items():
        spec = with_volumes("cat /v/amount", volume(kind, amount(resource, divisor)))
        spec["containers"][0]["resources"] = RESOURCES
        cases.append(Case(f"{kind}-{name}", spec, says))
    for name, (resource, divisor) in UNLIMITED.items():
        spec = with_volumes("cat /v/amount", volume(kind, amount(resource, divisor)))
        cases.append(Case(f"{kind}-{name}", spec))
    item_mode = [{**NAME[0], "mode": 0o400}]
    group = {"securityContext": {"runAsUser": 1001, "fsGroup": 1234}}
    named, shown = f"{kind}-pod-name", f"{kind}-default-mode"
    cases += [
        Case(named, with_volumes("cat /v/name", volume(kind, NAME)), named),
        Case(shown, with_volumes(SHOW, volume(kind, NAME, 0o400)), f"400:0:0\n{shown}"),
        Case(f"{kind}-item-mode", with_volumes(SHOW, volume(kind, item_mode)),
             f"400:0:0\n{kind}-item-mode"),
        Case(f"{kind}-of-a-group", with_volumes(SHOW, volume(kind, NAME, 0o440), **group),
             f"440:0:1234\n{kind}-of-a-group"),
    ]  # fmt: skip
    return cases + [_renewed(kind, part) for part in ("labels", "annotations")]


def _renewed(kind: str, part: str) -> Case:
    """Labels and annotations may change while the pod runs."""
    name = f"{kind}-{part}"
    items = [{"path": part, "fieldRef": {"fieldPath": f"metadata.{part}"}}]
    wait = f"until grep -q three /v/{part}; do sleep 0.1; done"
    spec = with_volumes(
        f"cat /v/{part}; touch /tmp/read; {wait}; cat /v/{part}", volume(kind, items)
    )
    has_read = {"exec": {"command": ["test", "-e", "/tmp/read"]}, "periodSeconds": 1}
    spec["containers"][0]["readinessProbe"] = has_read
    return Case(
        name,
        spec,
        'a="one"\nb="two"a="one"\nb="three"',
        metadata={part: {"a": "one", "b": "two"}},
        changes=(Change("patch", "Pod", name, {"metadata": {part: {"b": "three"}}}),),
        changed_when=ready,
    )


def variables(**fields: str) -> list[Doc]:
    return [{"name": n, "valueFrom": {"fieldRef": {"fieldPath": p}}} for n, p in fields.items()]


def resource_variables(**resources: str) -> list[Doc]:
    return [
        {"name": n, "valueFrom": {"resourceFieldRef": {"resource": r, "divisor": "1"}}}
        for n, r in resources.items()
    ]


FOUR = resource_variables(
    CPU="limits.cpu", MEMORY="limits.memory", CPU_ASKED="requests.cpu",
    MEMORY_ASKED="requests.memory",
)  # fmt: skip
IDENTITY = variables(
    NAME="metadata.name", NAMESPACE="metadata.namespace", POD_IP="status.podIP",
    HOST_IP="status.hostIP", HOST_IPS="status.hostIPs", UID="metadata.uid",
    NODE="spec.nodeName", ACCOUNT="spec.serviceAccountName",
)  # fmt: skip
ENVIRONMENT = [
    Case(
        "env-resources",
        pod(container("echo $CPU $MEMORY $CPU_ASKED $MEMORY_ASKED", env=FOUR, resources=RESOURCES)),
        f"2 {64 << 20} 1 {32 << 20}\n",
    ),
    Case("env-of-the-node", pod(container("echo $CPU $MEMORY", env=FOUR[:2]))),
    Case(
        "env-identity",
        pod(
            container(
                "echo $NAME $NAMESPACE $POD_IP $HOST_IP $HOST_IPS $UID $NODE $ACCOUNT", env=IDENTITY
            )
        ),
    ),
]
COMBINED = Case(
    "combined",
    with_volumes(
        "cat /v/podname /v/secret-data /v/configmap-data",
        {
            "projected": {
                "sources": [
                    {"secret": {"name": "part", "items": [{"key": "s", "path": "secret-data"}]}},
                    {"configMap": {"name": "part", "items": [{"key": "c", "path": "configmap-data"}]}},
                    {"downwardAPI": {"items": [{**NAME[0], "path": "podname"}]}},
                ]
            }
        },
    ),
    "combinedhiddenshown",
    before=(secret("part", {"s": "hidden"}), config_map("part", {"c": "shown"})),
)  # fmt: skip
CASES = [*(case for kind in KINDS for case in of_volume(kind)), *ENVIRONMENT, COMBINED]
TOLD = [case for case in CASES if case.says is not None]
OF_NODES = [case for case in CASES if case.name.endswith("of-the-node")]


@pytest.fixture(scope="module")
def played(cluster: Cluster) -> Iterator[Played]:
    with namespace(cluster, "downward") as api:
        yield play(api, CASES)


@pytest.mark.parametrize("case", TOLD, ids=lambda case: case.name)
def test_told(played: Played, case: Case) -> None:
    played.check(case)


@pytest.mark.parametrize("case", OF_NODES, ids=lambda case: case.name)
def test_without_a_limit_it_is_what_the_node_can_give(played: Played, case: Case) -> None:
    node = played.pod(case.name)["spec"]["nodeName"]
    given = played.api.call("GET", f"/api/v1/nodes/{node}")["status"]["allocatable"]
    cpu, memory = quantities.parse(given["cpu"]), quantities.parse(given["memory"])
    expected = {
        "cpu": f"{-(-cpu * 1000 // 1)}",
        "memory": f"{-(-memory // (1 << 20))}",
        "env": f"{-(-cpu // 1)} {memory}\n",
    }
    says = expected[next(part for part in expected if part in case.name)]
    played.check(_saying(case, says))


def _saying(case: Case, says: str) -> Case:
    return Case(case.name, case.spec, says)


def test_identity_in_the_environment(played: Played) -> None:
    case = next(case for case in CASES if case.name == "env-identity")
    seen: Any = played.pod(case.name)
    metadata, status, spec = seen["metadata"], seen["status"], seen["spec"]
    says = (
        case.name, metadata["namespace"], status["podIP"], status["hostIP"],
        status["hostIPs"][0]["ip"], metadata["uid"], spec["nodeName"], "default",
    )  # fmt: skip
    played.check(_saying(case, f"{' '.join(says)}\n"))
