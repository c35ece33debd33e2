"""ConfigMaps and Secrets as volumes of their own and as projections.

Upstream plays them in test/e2e/common/storage: configmap_volume.go, secrets_volume.go,
projected_configmap.go, projected_secret.go, empty_dir_wrapper.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from ..driver import Cluster
from .playing import (
    Case,
    Change,
    Doc,
    Played,
    config_map,
    namespace,
    play,
    secret,
    with_volumes,
)

pytestmark = [pytest.mark.root, pytest.mark.slow]

DATA = {"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"}
ITEMS = [{"key": "data-2", "path": "path/to/data-2"}]
ITEMS_AND_MODE = [{**ITEMS[0], "mode": 0o400}]
NON_ROOT = {"runAsUser": 1000}
SHOW = "stat -L -c %a:%u:%g {0}; cat {0}"
EVERYTHING = "cd /v; for f in data-1 data-2 data-3; do cat $f; done"


@dataclass(frozen=True)
class Flavour:
    """One of the four ways in which such data get into a pod."""

    title: str
    kind: str
    projected: bool

    def doc(self, name: str, data: dict[str, str]) -> Doc:
        make = config_map if self.kind == "ConfigMap" else secret
        return make(self.named(name), data)

    def named(self, name: str) -> str:
        """Names of their own, since the flavours change what is in them."""
        return f"{self.title}-{name}"

    def volume(self, name: str = "plain", mode: int | None = None, **source: object) -> Doc:
        modes = {} if mode is None else {"defaultMode": mode}
        if self.projected:
            part = {"name": self.named(name), **source}
            key = "configMap" if self.kind == "ConfigMap" else "secret"
            return {"projected": {"sources": [{key: part}], **modes}}
        if self.kind == "ConfigMap":
            return {"configMap": {"name": self.named(name), **modes, **source}}
        return {"secret": {"secretName": self.named(name), **modes, **source}}

    def written(self, name: str, **data: str) -> Doc:
        """The body of a patch that sets data, None to take away."""
        return {"data" if self.kind == "ConfigMap" else "stringData": data}


FLAVOURS = (
    Flavour("map", "ConfigMap", projected=False),
    Flavour("secret", "Secret", projected=False),
    Flavour("projected-map", "ConfigMap", projected=True),
    Flavour("projected-secret", "Secret", projected=True),
)


def flavoured(of: Flavour) -> list[Case]:
    """What all four have in common."""
    plain = (of.doc("plain", DATA),)

    def case(name: str, script: str, says: str, *volumes: Doc, **more: Any) -> Case:
        spec = with_volumes(script, *volumes, **more)
        return Case(f"{of.title}-{name}", spec, says, before=plain)

    shown, nested = SHOW.format("/v/data-1"), SHOW.format("/v/path/to/data-2")
    group = {"securityContext": {**NON_ROOT, "fsGroup": 1001}}
    as_non_root = {"securityContext": NON_ROOT}
    return [
        case("plain", EVERYTHING, "value-1value-2value-3", of.volume()),
        case("mode-of-files", shown, "644:0:0\nvalue-1", of.volume()),
        case("non-root", shown, "644:0:0\nvalue-1", of.volume(), **as_non_root),
        case("default-mode", shown, "400:0:0\nvalue-1", of.volume(mode=0o400)),
        case("default-mode-and-group", shown, "440:0:1001\nvalue-1", of.volume(mode=0o440), **group),
        case("items", nested, "644:0:0\nvalue-2", of.volume(items=ITEMS)),
        case("items-only", "ls /v", "path\n", of.volume(items=ITEMS)),
        case("items-and-mode", nested, "400:0:0\nvalue-2", of.volume(items=ITEMS_AND_MODE)),
        case("items-non-root", nested, "644:0:0\nvalue-2", of.volume(items=ITEMS), **as_non_root),
        case("several-volumes", "cat /v/data-1 /v2/data-1", "value-1value-1", of.volume(), of.volume()),
        _optional(of),
        _updated(of),
    ]  # fmt: skip


def until(condition: str) -> str:
    """A line of shell that waits."""
    return f"until {condition}; do sleep 0.1; done"


def _updated(of: Flavour) -> Case:
    waits = until("[ $(cat /v/data-1) = value-2 ]")
    return Case(
        f"{of.title}-updated",
        with_volumes(f"{waits}; cat /v/data-1", of.volume("updated")),
        "value-2",
        before=(of.doc("updated", {"data-1": "value-1"}),),
        changes=(Change("patch", of.kind, of.named("updated"), of.written("updated", **{"data-1": "value-2"})),),
    )  # fmt: skip


def _optional(of: Flavour) -> Case:
    """One is deleted, one is changed, one comes to be; the pod runs with those that there are."""
    waits = (
        '[ -z "$(ls /v)" ]',
        '[ "$(cat /v2/data-3 2>/dev/null)" = value-3 ]',
        "[ -e /v3/data-1 ]",
    )
    script = "; ".join([*map(until, waits), "cat /v3/data-1; ls /v2"])
    gone, changed, coming = ("gone", "changed", "coming")
    new = of.written("changed", **{"data-3": "value-3"})
    return Case(
        f"{of.title}-optional",
        with_volumes(script, *(of.volume(name, optional=True) for name in (gone, changed, coming))),
        "value-1data-1\ndata-3\n",
        before=(of.doc(gone, {"data-1": "value-1"}), of.doc(changed, {"data-1": "value-1"})),
        changes=(
            Change("delete", of.kind, of.named(gone)),
            Change("patch", of.kind, of.named(changed), new),
            Change("create", of.kind, of.named(coming), of.doc(coming, {"data-1": "value-1"})),
        ),
    )


BINARY = Case(
    "map-binary-data",
    with_volumes("cat /v/text; busybox od -An -tx1 /v/dump", {"configMap": {"name": "binary"}}),
    "text ca fe de ad\n",
    before=(config_map("binary", {"text": "text"}, binaryData={"dump": "yv7erQ=="}),),
)
BOTH = Case(
    "secret-and-map",
    with_volumes(
        "cat /v/data-1 /v2/data-1",
        {"secret": {"secretName": "both"}},
        {"configMap": {"name": "both"}},
    ),
    "secretmap",
    before=(secret("both", {"data-1": "secret"}), config_map("both", {"data-1": "map"})),
)
MANY = [f"racer-{number}" for number in range(50)]
RACERS = [
    Case(
        f"fifty-maps-{number}",
        with_volumes(
            "for n in '' $(busybox seq 2 50); do cat /v$n/data-1; done",
            *({"configMap": {"name": name}} for name in MANY),
        ),
        "1" * len(MANY),
        before=[config_map(name, {"data-1": "1"}) for name in MANY],
    )
    for number in range(5)
]
CASES = [
    *(case for flavour in FLAVOURS for case in flavoured(flavour)),
    BINARY,
    BOTH,
    *RACERS,
]


@pytest.fixture(scope="module")
def played(cluster: Cluster) -> Iterator[Played]:
    with namespace(cluster, "maps-and-secrets") as api:
        yield play(api, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_volume(played: Played, case: Case) -> None:
    played.check(case)


def test_a_secret_of_the_same_name_elsewhere_is_another(cluster: Cluster, played: Played) -> None:
    case = Case(
        "mine",
        with_volumes("cat /v/data-1", {"secret": {"secretName": "secret-plain"}}),
        "of this namespace",
        before=(secret("secret-plain", {"data-1": "of this namespace"}),),
    )
    with namespace(cluster, "maps-and-secrets-too") as api:
        play(api, [case]).check(case)


@pytest.mark.parametrize("flavour", FLAVOURS[:2], ids=lambda flavour: flavour.title)
def test_what_is_immutable_stays(played: Played, flavour: Flavour) -> None:
    """Once it is immutable, neither its data nor the word itself can be changed."""
    api, name = played.api, flavour.named("immutable")
    api.create(flavour.doc("immutable", DATA))
    api.change(Change("patch", flavour.kind, name, {"immutable": True}))
    for body in (flavour.written("immutable", **{"data-4": "value-4"}), {"immutable": False}):
        with pytest.raises(ApiException) as refused:
            api.change(Change("patch", flavour.kind, name, body))
        assert refused.value.status == 422
        assert "field is immutable when `immutable` is set" in refused.value.reason
    labelled = Change("patch", flavour.kind, name, {"metadata": {"labels": {"may": "change"}}})
    api.change(labelled)
