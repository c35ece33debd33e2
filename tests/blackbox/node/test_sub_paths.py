"""Parts of volumes, and variables in commands, arguments and paths.

Upstream: test/e2e/storage/subpath.go, test/e2e/common/node/expansion.go.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
    secret,
)

pytestmark = [pytest.mark.root, pytest.mark.slow]

NAME = [{"path": "file", "fieldRef": {"fieldPath": "metadata.name"}}]
SOURCES: dict[str, Doc] = {
    "config-map": {"configMap": {"name": "source"}},
    "secret": {"secret": {"secretName": "source"}},
    "downward": {"downwardAPI": {"items": NAME}},
    "projected": {"projected": {"sources": [{"configMap": {"name": "source"}}]}},
}
BEFORE = (config_map("source", {"file": "a line\n"}), secret("source", {"file": "a line\n"}))


def mounted(script: str, volume: Doc, *mounts: Doc, env: list[Doc] | None = None) -> Doc:
    """The spec of a pod with one volume in several places."""
    places = [{"name": "v", **mount} for mount in mounts]
    main = container(script, volumeMounts=places, env=env or [])
    return pod(main, volumes=[{"name": "v", **volume}])


def of_source(name: str) -> Case:
    """One file of a volume that the node writes, at a place of its own."""
    says = f"{name}" if name == "downward" else "a line\n"
    mount = {"mountPath": "/place/alone", "subPath": "file"}
    return Case(
        name, mounted("ls /place; cat /place/alone", SOURCES[name], mount), f"alone\n{says}", before=BEFORE
    )  # fmt: skip


OVER_A_FILE = Case(
    "over-a-file",
    mounted(
        "cat /etc/group; grep -c root /etc/passwd",
        SOURCES["config-map"],
        {"mountPath": "/etc/group", "subPath": "file"},
    ),
    "a line\n1\n",
    before=BEFORE,
)


def variables(**values: str) -> list[Doc]:
    return [{"name": name, "value": value} for name, value in values.items()]


POD_NAME = [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
EXPANSION = [
    Case(
        "composed",
        pod(
            container(
                "echo $FOOBAR",
                env=variables(FOO="foo-value", BAR="bar-value", FOOBAR="$(FOO);;$(BAR)"),
            )
        ),
        "foo-value;;bar-value\n",
    ),
    Case(
        "in-the-command",
        pod(container("TEST=wrong echo '$(TEST) $$(TEST) $(NONE)'", env=variables(TEST="value"))),
        "value $(TEST) $(NONE)\n",
    ),
    Case(
        "in-arguments",
        pod(
            {
                **container("", env=variables(TEST="value")),
                "command": ["/bin/echo"],
                "args": ["$(TEST)", "$$(TEST)", "$(NONE)"],
            }
        ),
        "value $(TEST) $(NONE)\n",
    ),
    Case(
        "in-a-path",
        mounted(
            "test -d /all/in-a-path && echo there",
            {"emptyDir": {}},
            {"mountPath": "/part", "subPathExpr": "$(POD_NAME)"},
            {"mountPath": "/all"},
            env=POD_NAME,
        ),
        "there\n",
    ),
    Case(
        "written-through-a-path",
        mounted(
            "echo text > /part/file; cat /all/foo/written-through-a-path/file",
            {"emptyDir": {}},
            {"mountPath": "/part", "subPathExpr": "foo/$(POD_NAME)"},
            {"mountPath": "/all"},
            env=POD_NAME,
        ),
        "text\n",
    ),
]
ANNOTATION = [
    {"name": "PART", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['part']"}}}
]


def led_out(name: str, value: str) -> Case:
    """A variable that would lead out of the volume: the container is not made."""
    part = {"mountPath": "/part", "subPathExpr": "$(PART)"}
    spec = mounted("true", {"emptyDir": {}}, part, env=variables(PART=value))
    return Case(name, spec, phase="Pending", until=misconfigured)


def misconfigured(pod: Doc) -> bool:
    """Its container cannot be made as it is described."""
    statuses: list[Doc] = pod["status"].get("containerStatuses") or [{"state": {}}]
    waiting = statuses[0]["state"].get("waiting") or {}
    return waiting.get("reason") == "CreateContainerConfigError"


LED_OUT = {
    "backsteps": (led_out("backsteps", ".."), "must not contain '..'"),
    "absolute": (led_out("absolute", "/tmp"), "must not be an absolute path"),
}
MENDED = Case(
    "mended",
    mounted(
        "ls /all/mine",
        {"emptyDir": {}},
        {"mountPath": "/part", "subPathExpr": "$(PART)/mended"},
        {"mountPath": "/all"},
        env=ANNOTATION,
    ),
    "mended\n",
    metadata={"annotations": {"other": "mine"}},
    changes=(Change("patch", "Pod", "mended", {"metadata": {"annotations": {"part": "mine"}}}),),
    changed_when=misconfigured,
)
CASES = [*map(of_source, SOURCES), OVER_A_FILE, *EXPANSION, MENDED]


@pytest.fixture(scope="module")
def played(cluster: Cluster) -> Iterator[Played]:
    with namespace(cluster, "sub-paths") as api:
        yield play(api, [*CASES, *(case for case, _ in LED_OUT.values())])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sub_path(played: Played, case: Case) -> None:
    played.check(case)


@pytest.mark.parametrize("name", LED_OUT)
def test_no_variable_leads_out_of_a_volume(played: Played, name: str) -> None:
    case, why = LED_OUT[name]
    played.check(case)
    waiting = played.pod(name)["status"]["containerStatuses"][0]["state"]["waiting"]
    assert why in waiting["message"]
