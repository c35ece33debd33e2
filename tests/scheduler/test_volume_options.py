"""What every node offers unbound claims, against a plain search node by node."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.rules.volume_options import NONE, options, waiting
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import class_of, node
from .storage import HOSTNAME, ZONE, Heard, claim, heard, on, storage_class, user, volume

NODES = [node(f"n{i}", labels={ZONE: f"z{i % 2}"}) for i in range(4)]
MODES = [["ReadWriteOnce"], ["ReadWriteOnce", "ReadOnlyMany"]]

SIZES = st.integers(1, 4).map(lambda size: f"{size}Gi")
PLACES = st.sampled_from([
    {}, {"nodeAffinity": on(ZONE, "z0")}, {"nodeAffinity": on(HOSTNAME, "n1")},
    {"nodeAffinity": on(HOSTNAME, "n2", "n3")},
])  # fmt: skip
OFFERS = st.lists(st.tuples(SIZES, PLACES, st.sampled_from(MODES)), max_size=6)
WISHES = st.lists(SIZES, min_size=1, max_size=3)


def plain(host: Doc, volumes: list[Heard], claims: list[Heard]) -> dict[str, str]:
    """Claims by name with the volumes that they get on one node: FindMatchingVolume for one after
    the other, the smallest first."""
    found: dict[str, str] = {}
    for _, asked in sorted(claims, key=lambda one: (_size(one[1]), one[1]["metadata"]["name"])):
        fitting = [
            doc for _, doc in volumes
            if doc["metadata"]["name"] not in found.values()
            and _capacity(doc) >= _size(asked) and _reaches(doc, host)
        ]  # fmt: skip
        if fitting:
            best = min(fitting, key=_rank)
            found[asked["metadata"]["name"]] = best["metadata"]["name"]
    return found


def _size(doc: Doc) -> int:
    return quantities.whole(doc["spec"]["resources"]["requests"]["storage"])


def _capacity(doc: Doc) -> int:
    return quantities.whole(doc["spec"]["capacity"]["storage"])


def _rank(doc: Doc) -> tuple[Any, ...]:
    return len(doc["spec"]["accessModes"]), _capacity(doc), doc["metadata"]["name"]


def _reaches(doc: Doc, host: Doc) -> bool:
    if "nodeAffinity" not in doc["spec"]:
        return True
    [term] = doc["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    [asked] = term["matchExpressions"]
    return host["metadata"]["labels"][asked["key"]] in asked["values"]


def found_for(view: ClusterView, claims: list[Heard]) -> list[dict[str, str]]:
    """The same of all nodes, as the scheduler finds it."""
    pod = class_of(user(*(doc["metadata"]["name"] for _, doc in claims)))
    asked = waiting(view.volumes, pod.claims)
    found = options(view.volumes, view.size, view.names, asked)
    return [
        {
            one.wanted.key.partition("/")[2]: found.offered[column[row]].name
            for one, column in zip(found.claims, found.chosen, strict=True)
            if column[row] != NONE
        }
        for row in range(view.size)
    ]


@settings(max_examples=200, deadline=None)
@given(OFFERS, WISHES)
def test_every_node_offers_what_a_plain_search_finds_there(
    offers: list[tuple[str, Doc, list[str]]], wishes: list[str]
) -> None:
    volumes = [volume(f"v{i}", size, accessModes=modes, **place)
               for i, (size, place, modes) in enumerate(offers)]  # fmt: skip
    claims = [claim(f"c{i}", size) for i, size in enumerate(wishes)]
    view = heard(NODES, storage_class(), *volumes, *claims)
    assert found_for(view, claims) == [plain(host, volumes, claims) for host in NODES]
