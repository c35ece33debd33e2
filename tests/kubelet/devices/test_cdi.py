"""CDI specifications: what they add, which of them counts, what is refused (SPEC.md of the CDI)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.devices.cdi.files import specifications
from longshore.machinery.kubelet.devices.cdi.plan import resolve, specification
from longshore.machinery.kubelet.devices.model import NoSuchDevice
from longshore.machinery.runtime.protocol import Device, Hook, Mount, Propagation


def described(edits: Doc, name: str = "0", **more: Any) -> Doc:
    devices = [{"name": name, "containerEdits": edits}]
    return {"cdiVersion": "0.6.0", "kind": "a.b/gpu", "devices": devices, **more}


def test_everything_that_can_be_added() -> None:
    edits = {
        "env": ["A=1=2"],
        "deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/null"}, {"path": "/dev/y", "permissions": "r"}],
        "mounts": [
            {"hostPath": "/lib/x", "containerPath": "/x", "options": ["ro", "nosuid", "nodev", "rbind", "rslave"]}
        ],
        "hooks": [{"hookName": "createContainer", "path": "/bin/h", "args": ["h", "x"], "timeout": 3}],
        "additionalGids": [44],
    }  # fmt: skip
    extras = resolve(["a.b/gpu=0"], [specification(described(edits), "f", 0)])
    assert extras.edited == {"A": "1=2"}
    assert extras.devices == (Device("/dev/null", "/dev/x"), Device("/dev/y", "/dev/y", "r"))
    assert extras.mounts == (
        Mount("/lib/x", "/x", True, propagation=Propagation.FROM_HOST, flags=("nosuid", "nodev")),
    )
    assert extras.hooks == (Hook("createContainer", "/bin/h", ("h", "x"), timeout_s=3),)
    assert extras.groups == (44,)


def test_what_all_devices_of_a_file_have_is_added_once() -> None:
    doc = described({"env": ["A=0"]}, containerEdits={"env": ["ALL=1"], "hooks": [
        {"hookName": "prestart", "path": "/bin/h"}]})  # fmt: skip
    doc["devices"].append({"name": "1", "containerEdits": {"env": ["B=1"]}})
    extras = resolve(["a.b/gpu=0", "a.b/gpu=1", "a.b/gpu=0"], [specification(doc, "f", 0)])
    assert extras.edited == {"A": "0", "B": "1", "ALL": "1"}
    assert len(extras.hooks) == 1


def test_a_later_directory_counts_and_two_files_of_one_are_in_conflict() -> None:
    old = specification(described({"env": ["A=old"]}), "/etc/cdi/a.json", 0)
    new = specification(described({"env": ["A=new"]}), "/run/cdi/a.json", 1)
    assert resolve(["a.b/gpu=0"], [new, old]).edited == {"A": "new"}
    other = specification(described({}), "/run/cdi/b.json", 1)
    with pytest.raises(
        NoSuchDevice, match=r"conflicting CDI device a.b/gpu=0: /run/cdi/a.json, /run"
    ):
        resolve(["a.b/gpu=0"], [new, old, other])


def test_unknown_devices_are_named() -> None:
    with pytest.raises(NoSuchDevice, match=r"^unresolvable CDI devices a.b/gpu=1, c.d/x=0$"):
        resolve(["a.b/gpu=1", "c.d/x=0"], [specification(described({}), "f", 0)])


@pytest.mark.parametrize(
    ("edits", "why"),
    [
        ({"intelRdt": {"closID": "x"}}, "containerEdits.intelRdt"),
        ({"netDevices": [{"hostInterfaceName": "eth1"}]}, "containerEdits.netDevices"),
        ({"hooks": [{"hookName": "poststop", "path": "/x"}]}, "containerEdits.hooks.hookName=poststop"),
        ({"deviceNodes": [{"path": "/dev/x", "uid": 5}]}, "containerEdits.deviceNodes.uid"),
        ({"mounts": [{"hostPath": "/a", "containerPath": "/b", "type": "tmpfs"}]}, "mounts.type=tmpfs"),
        ({"mounts": [{"hostPath": "/a", "containerPath": "/b", "options": ["sync"]}]}, "options=sync"),
        ({"mounts": [{"hostPath": "/a"}]}, "invalid containerEdits: KeyError"),
        ({"env": ["A"]}, "invalid containerEdits: ValueError"),
        ({"deviceNodes": 5}, "invalid containerEdits: TypeError"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_name(edits: Doc, why: str) -> None:
    with pytest.raises(NoSuchDevice, match=why):
        resolve(["a.b/gpu=0"], [specification(described(edits), "f", 0)])


def test_files_of_both_forms_are_read_and_broken_ones_passed_over(tmp_path: Path) -> None:
    one, two = tmp_path / "etc", tmp_path / "run"
    one.mkdir()
    two.mkdir()
    (one / "a.json").write_text(json.dumps(described({"env": ["A=1"]})))
    (one / "b.yaml").write_text(
        "kind: c.d/x\ndevices:\n- name: all\n  containerEdits: {env: [B=2]}\n"
    )
    (one / "broken.json").write_text("{")
    (one / "broken.yaml").write_text("a: [")
    (one / "other.yaml").write_text("kind: c.d/x\n")
    (two / "c.txt").write_text("no")
    known = specifications([one, two, tmp_path / "none"])
    assert [(spec.kind, spec.priority) for spec in known] == [("a.b/gpu", 0), ("c.d/x", 0)]
    assert resolve(["c.d/x=all", "a.b/gpu=0"], known).edited == {"A": "1", "B": "2"}
