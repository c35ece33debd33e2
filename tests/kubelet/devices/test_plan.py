"""Which devices containers get: never one that another pod has, always those of one's own init containers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.machinery.kubelet.devices.assignments import Assignments
from longshore.machinery.kubelet.devices.model import Extras, Grant, equipped
from longshore.machinery.kubelet.devices.plan import (
    DevicesMissing,
    choice,
    reusable,
    settled,
    wanted,
)
from longshore.machinery.runtime.protocol import (
    ContainerSpec,
    Device,
    Mount,
    Propagation,
    Security,
)

from ..docs import container, pod

ids = st.frozensets(st.sampled_from([f"gpu{number}" for number in range(8)]))


@given(healthy=ids, used=ids, reuse=ids, liked=st.lists(st.sampled_from(["gpu0", "gpu3", "gpu9"])), count=st.integers(1, 8))  # fmt: skip
def test_nobody_gets_what_another_has(
    healthy: frozenset[str],
    used: frozenset[str],
    reuse: frozenset[str],
    liked: list[str],
    count: int,
) -> None:
    reuse &= used
    room = len(healthy - used) + len(healthy & reuse)
    try:
        chosen = settled(choice("a.b/c", count, healthy, used, reuse), liked)
    except DevicesMissing:
        assert room < count
        return
    assert len(set(chosen)) == count
    assert set(chosen) <= healthy - (used - reuse)


@given(data=st.data())
def test_the_containers_of_a_pod_share_only_with_what_has_ended(data: st.DataObject) -> None:
    """Whatever they ask for: two that run at the same time never have the same device."""
    sizes = data.draw(st.lists(st.tuples(st.booleans(), st.integers(1, 3)), min_size=1, max_size=4))
    inits = [
        container(f"i{n}", **({"restartPolicy": "Always"} if sidecar else {}))
        for n, (sidecar, _) in enumerate(sizes)
    ]
    spec = pod(container("a"), container("b"), inits=inits)["spec"]
    counts = {f"i{n}": size for n, (_, size) in enumerate(sizes)} | {"a": 2, "b": 1}
    healthy = frozenset(f"d{number}" for number in range(20))
    given: dict[str, list[Grant]] = {}
    for name, count in counts.items():
        used = frozenset(one for grants in given.values() for grant in grants for one in grant.ids)
        chosen = settled(choice("r", count, healthy, used, reusable(spec, given, "r")))
        given[name] = [Grant("r", chosen)]
    lasting = ["a", "b", *(f"i{n}" for n, (sidecar, _) in enumerate(sizes) if sidecar)]
    held = [one for name in lasting for one in given[name][0].ids]
    assert len(held) == len(set(held))
    running: set[str] = set()
    for n, (sidecar, _) in enumerate(sizes):
        mine = set(given[f"i{n}"][0].ids)
        assert not mine & running
        running |= mine if sidecar else set()


def test_only_known_resources_are_given() -> None:
    limits = {"a.b/c": "2", "x.y/z": "1", "cpu": "1", "a.b/none": "0"}
    assert wanted(container(resources={"limits": limits}), {"a.b/c", "a.b/none"}) == {"a.b/c": 2}


def test_too_few() -> None:
    with pytest.raises(DevicesMissing, match=r"for a.b/c. Requested: 1, Available: 0$"):
        choice("a.b/c", 3, {"1", "2"}, {"1", "2"}, {"1", "2"})


async def test_what_was_written_down_is_read_again(tmp_path: Path) -> None:
    grant = Grant(
        "a.b/c",
        ("1", "2"),
        env={"A": "b"},
        mounts=(Mount("/lib/x", "/x", True, propagation=Propagation.FROM_HOST, flags=("nodev",)),),
        devices=(Device("/dev/null", "/dev/x", "rw"),),
        annotations={"k": "v"},
        cdi=("a.b/c=1",),
    )
    before = Assignments(tmp_path / "a.json")
    before.give("uid", "main", grant)
    before.resources = {"a.b/c"}
    await before.save()
    after = Assignments(tmp_path / "a.json")
    after.load()
    assert after.of("uid") == {"main": [grant]}
    assert after.resources == {"a.b/c"}
    assert after.used("a.b/c") == {"1", "2"}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pods": {"u": {"c": [{}]}}, "resources": []}'])
def test_a_file_that_is_damaged_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    known = Assignments(tmp_path / "a.json")
    known.load()
    assert not known.pods()


def test_what_the_container_says_itself_goes_before_a_plugin_and_behind_the_cdi() -> None:
    spec = ContainerSpec(
        "main", "image", "/log", env=[("A", "own"), ("B", "own")], mounts=[Mount("/own", "/data")],
        security=Security(groups=(5,)),
    )  # fmt: skip
    extras = Extras(
        env={"A": "plugin", "C": "plugin"}, edited={"B": "cdi"}, groups=(5, 44),
        mounts=(Mount("/plugin", "/data"), Mount("/lib", "/lib")),
    )  # fmt: skip
    whole = equipped(spec, extras)
    assert dict(whole.env) == {"A": "own", "B": "cdi", "C": "plugin"}
    assert [mount.source for mount in whole.mounts] == ["/own", "/lib"]
    assert whole.security.groups == (5, 44)
