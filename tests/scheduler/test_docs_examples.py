"""The examples of docs/scheduler.md do what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from longshore.core.objects import kinds
from longshore.core.objects.defaults import default
from longshore.core.objects.dynamic_ports import FIRST, LAST
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules import validate_create
from longshore.core.registry.sent import PLAIN, checked
from longshore.machinery.scheduler import plan
from longshore.machinery.scheduler.configuration import read_profiles
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.rules import volume_binding

from .placing import class_of, node, place, view_of
from .storage import heard

PAGE = (Path(__file__).parents[2] / "docs" / "scheduler.md").read_text()


def example(title: str) -> list[Doc]:
    """The documents of the first YAML block below a heading."""
    below = PAGE[PAGE.index(f"# {title}\n") :]
    block = re.search(r"```yaml\n(.*?)```", below, re.S)
    assert block is not None
    return list(yaml.safe_load_all(block[1]))


def stored(doc: Doc, **status: Any) -> Doc:
    """As the registry would keep it: defaulted and found valid."""
    kind = next(k for k in kinds.KINDS.stored if (k.api_version, k.name) == (doc["apiVersion"], doc["kind"]))  # fmt: skip
    made = default(kind, orjson.loads(orjson.dumps(doc)))
    made["metadata"].setdefault("uid", f"uid-{made['metadata']['name']}")
    if kind.namespaced:
        made["metadata"]["namespace"] = "shop"
    assert [cause.message for cause in validate_create(kind, made)] == []
    return {**made, "status": {**made.get("status", {}), **status}} if status else made


def test_volumes() -> None:
    storage_class, volume, claim, pod = example("Volumes")
    view = heard(
        [node("node-1"), node("node-2")],
        (kinds.STORAGE_CLASS, stored(storage_class)),
        (kinds.PV, stored(volume, phase="Available")),
        (kinds.PVC, stored(claim)),
    )
    asked = stored(pod)
    assert place(view, asked) == ["node-1"]
    work = volume_binding.work_for(view, class_of(asked), view.rows["node-1"])
    assert work is not None and work.give == (("disk-1", "shop/data"),)


def test_regions_and_zones() -> None:
    [settings] = example("Regions and zones as Atomic Enterprise placed by them")
    [profile] = read_profiles(settings).values()
    nodes = [node(f"{region}-{zone}", labels={"region": region, "zone": zone})
             for region in "ab" for zone in "xy"]  # fmt: skip
    view = view_of(*nodes)
    service = {
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"selector": {"app": "web"}},
    }
    view.services.put(service)
    [pod] = example("Constraints on nodes")
    del pod["metadata"]["annotations"]
    pod["metadata"]["labels"] = {"app": "web"}
    view.put_pod("first", "b-x", class_of(stored(pod)))
    [row] = plan.place(view, class_of(stored(pod)), 1, Memo(profile))
    assert view.names[row] == "b-y"


@pytest.mark.parametrize(
    ("kernel", "labels", "fits"),
    [("6.1.0", {"rack": "r7"}, True), ("5.4.0", {"rack": "r7"}, False), ("6.1.0", {}, False)],
)
def test_constraints(kernel: str, labels: dict[str, str], fits: bool) -> None:
    [pod] = example("Constraints on nodes")
    machine = node("n", labels=labels)
    machine["status"]["nodeInfo"] = {"kernelVersion": kernel}
    assert bool(place(view_of(machine), stored(pod))) == fits


def test_dynamic_ports() -> None:
    [pod] = example("Ports that the scheduler chooses")
    view, asked = view_of(node("n")), class_of(stored(pod))
    found = view.ports.free(0, asked.dynamic, seed=7)
    assert found is not None and list(found) == ["http", "admin"]
    assert all(FIRST <= port <= LAST for port in found.values())
    assert f"from {FIRST} to {LAST}" in PAGE


@pytest.mark.parametrize(
    ("title", "named"),
    [
        ("Pod groups", ["PodGroup", "Pod"]),
        ("Queues of tenants", ["ClusterQueue", "LocalQueue"]),
        ("Other schedulers, and offers to them", ["Offer"]),
    ],
)
def test_what_tenants_write_is_valid(title: str, named: list[str]) -> None:
    docs = example(title)
    assert [doc["kind"] for doc in docs] == named
    for doc in docs:
        kind = kinds.KINDS.named(doc["apiVersion"], doc["kind"])
        assert kind is not None
        doc["metadata"].setdefault("name", "generated")
        assert validate_create(kind, default(kind, checked(kind, doc, PLAIN)[0])) == []
