"""Volumes on a real file system: what is in them, how they change, that nobody is led out."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.containers.environment import Sources
from longshore.machinery.kubelet.containers.facts import ConfigMissing, Facts
from longshore.machinery.kubelet.volumes.atomic import write_files
from longshore.machinery.kubelet.volumes.mounting import unmount_below
from longshore.machinery.kubelet.volumes.ownership import give_to_groups
from longshore.machinery.kubelet.volumes.plan import (
    EmptyDir,
    File,
    HostPath,
    Payload,
    Volume,
    plan_volumes,
    stale,
)
from longshore.machinery.kubelet.volumes.run import PodVolumes, VolumeFailure, pin_sub_path

from .docs import container, pod

MAPS = {"app": {"kind": "ConfigMap", "data": {"a": "1", "b": "2"}}}
SECRETS = {"key": {"kind": "Secret", "data": {"p": base64.b64encode(b"w").decode()}}}


def planned(*volumes: Doc, **spec: object) -> tuple[Volume, ...]:
    doc = pod(volumes=list(volumes), **spec)  # type: ignore[arg-type]
    doc["metadata"]["labels"] = {"app": "web", "tier": 'a"b'}
    return plan_volumes(Facts(doc, "node-1", "10.90.0.11"), Sources(MAPS, SECRETS))


def test_items_choose_rename_and_set_modes() -> None:
    source = {"name": "app", "defaultMode": 0o400,
              "items": [{"key": "a", "path": "x/y"}, {"key": "b", "path": "z", "mode": 0o755}]}  # fmt: skip
    assert planned({"name": "v", "configMap": source}) == (
        Payload("v", {"x/y": File(b"1", 0o400), "z": File(b"2", 0o755)}),
    )
    with pytest.raises(ConfigMissing, match="non-existent config key: c"):
        planned({"name": "v", "configMap": {"name": "app", "items": [{"key": "c", "path": "c"}]}})


def claimed(spec: Doc, **claim: object) -> HostPath:
    """What a pod gets whose claim is bound to a volume."""
    metadata = {"namespace": "shop", "name": "data", "uid": "u"}
    asked = {"metadata": metadata, "spec": {}}
    given = {"metadata": {"name": "v"}, "spec": {"claimRef": metadata, **spec}}
    sources = Sources(claims={"data": asked}, persistent={"data": given})
    source = {"claimName": "data", **claim}
    doc = pod(volumes=[{"name": "d", "persistentVolumeClaim": source}])
    [found] = plan_volumes(Facts(doc, "node-1", "10.90.0.11"), sources)
    assert isinstance(found, HostPath)
    return found


def test_a_claim_is_the_path_of_its_volume() -> None:
    assert claimed({"hostPath": {"path": "/x"}}) == HostPath("d", "/x")
    assert claimed({"local": {"path": "/mnt/a"}}, readOnly=True) == HostPath(
        "d", "/mnt/a", "Directory", read_only=True
    )


async def test_the_group_of_a_pod_has_what_is_on_its_local_volume(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir(mode=0o700)
    (tmp_path / "deep" / "file").write_text("x")
    (tmp_path / "deep" / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("/etc/passwd")
    before, group = os.stat("/etc/passwd"), os.getgid()
    await give_to_groups([HostPath("d", str(tmp_path), "Directory", gid=group)])
    assert (tmp_path / "deep" / "file").stat().st_mode & 0o777 == 0o660
    assert (tmp_path / "deep").stat().st_mode & 0o7777 == 0o2770
    after = os.stat("/etc/passwd")
    assert (after.st_gid, after.st_mode) == (before.st_gid, before.st_mode)
    (tmp_path / "deep" / "file").chmod(0o600)
    await give_to_groups([HostPath("d", str(tmp_path), "Directory", gid=group, lazily=True)])
    assert (tmp_path / "deep" / "file").stat().st_mode & 0o777 == 0o600, "it was right above"


def test_a_volume_that_this_node_cannot_mount_is_named() -> None:
    with pytest.raises(ConfigMissing, match='persistentvolume "v" of type nfs'):
        claimed({"nfs": {"server": "s", "path": "/"}, "capacity": {"storage": "1Gi"}})
    with pytest.raises(ConfigMissing, match="volumeMode Block"):
        claimed({"hostPath": {"path": "/dev/sda"}, "volumeMode": "Block"})
    with pytest.raises(ConfigMissing, match="PVC is not bound"):
        claimed({"hostPath": {"path": "/x"}, "claimRef": {"uid": "another"}})
    with pytest.raises(ConfigMissing, match='persistentvolumeclaim "none" not found'):
        planned({"name": "d", "persistentVolumeClaim": {"claimName": "none"}})


def test_what_is_missing_is_named_unless_optional() -> None:
    with pytest.raises(ConfigMissing, match='secret "none" not found'):
        planned({"name": "v", "secret": {"secretName": "none"}})
    assert planned({"name": "v", "secret": {"secretName": "none", "optional": True}}) == (
        Payload("v", {}, secret=True),
    )


def test_a_projected_volume_joins_its_sources() -> None:
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    sources = [{"configMap": {"name": "app"}}, {"secret": {"name": "key"}},
               {"downwardAPI": {"items": [labels]}}]  # fmt: skip
    [volume] = planned({"name": "v", "projected": {"defaultMode": 0o440, "sources": sources}})
    assert isinstance(volume, Payload)
    assert volume.secret, "one Secret in it makes the whole volume secret"
    assert {n: f.content for n, f in volume.files.items()} == {
        "a": b"1", "b": b"2", "p": b"w", "labels": b'app="web"\ntier="a\\"b"',
    }  # fmt: skip
    assert {f.mode for f in volume.files.values()} == {0o440}


def test_a_group_may_read_what_it_owns() -> None:
    [volume, scratch] = planned(
        {"name": "v", "secret": {"secretName": "key", "defaultMode": 0o400}},
        {"name": "s", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        securityContext={"fsGroup": 7},
    )
    assert isinstance(volume, Payload)
    assert (volume.gid, volume.files["p"].mode) == (7, 0o440)
    assert scratch == EmptyDir("s", "memory", 2**20, 7)


@pytest.mark.parametrize(
    ("size_limit", "limits", "allocatable", "size"),
    [
        (None, [None], {}, 0),
        (None, [None], {"memory": "8Mi"}, 8),
        (None, ["1Mi", "2Mi"], {"memory": "8Mi"}, 3),
        (None, ["1Mi", None], {"memory": "8Mi"}, 8),
        ("2Mi", ["1Mi", "2Mi"], {"memory": "8Mi"}, 2),
        ("64Mi", ["1Mi", "2Mi"], {"memory": "8Mi"}, 3),
        ("64Mi", [None], {"memory": "8Mi"}, 8),
    ],
)
def test_memory_has_the_narrowest_of_its_bounds(
    size_limit: str | None, limits: list[str | None], allocatable: dict[str, str], size: int
) -> None:
    source = {"medium": "Memory", **({"sizeLimit": size_limit} if size_limit else {})}
    containers = [
        container(f"c{n}", resources={"limits": {"memory": limit}} if limit else {})
        for n, limit in enumerate(limits)
    ]
    doc = pod(*containers, volumes=[{"name": "m", "emptyDir": source}])
    facts = Facts(doc, "node-1", "10.90.0.11", allocatable=allocatable)
    assert plan_volumes(facts, Sources(MAPS, SECRETS)) == (EmptyDir("m", "memory", size * 2**20),)


def test_what_the_agent_writes_containers_only_read(tmp_path: Path) -> None:
    volumes = PodVolumes(tmp_path / "pod")
    try:
        volumes.set_up([Payload("p", {"k": File(b"x", 0o644)}), EmptyDir("e")], "v1")
        wanted = [{"name": name, "mountPath": f"/{name}"} for name in ("p", "e")]
        mounts = volumes.mounts(container(volumeMounts=wanted), {})
        assert {mount.target: mount.read_only for mount in mounts} == {"/p": True, "/e": False}
    finally:
        volumes.tear_down()


def test_only_what_changed_is_written_again() -> None:
    old = (Payload("a", {"x": File(b"1", 0o644)}), Payload("b"), EmptyDir("c"))
    new = (Payload("a", {"x": File(b"2", 0o644)}), Payload("b"), EmptyDir("c"))
    assert stale(old, new) == (new[0],)


def test_readers_see_all_of_one_version(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": File(b"1", 0o644), "d/b": File(b"1", 0o600)}, "v1", None)
    held = os.open(tmp_path / "..data", os.O_RDONLY)
    write_files(tmp_path, {"a": File(b"2", 0o644), "c": File(b"2", 0o644)}, "v2", None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["..data", "..v2", "a", "c"]
    assert os.readlink(tmp_path / "a") == "..data/a"
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes() == b"2"
    os.close(held)


def test_secret_bytes_are_never_open_to_others_while_written(tmp_path: Path) -> None:
    write_files(tmp_path, {"k": File(b"s", 0o400)}, "v1", None)
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o400


def test_a_sub_path_cannot_lead_out_of_its_volume(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "escape").symlink_to("/etc")
    for path in ("escape", "../other", "escape/passwd"):
        with pytest.raises(OSError, match="leads out"):
            pin_sub_path(volume, path, tmp_path / "pin")
    try:
        place = pin_sub_path(volume, "new/deep", tmp_path / "pin")
        (place / "file").write_text("x")
        assert (volume / "new/deep/file").read_text() == "x"
    finally:
        unmount_below(tmp_path)


def test_host_paths_are_checked_by_type(tmp_path: Path) -> None:
    volumes = PodVolumes(tmp_path / "pod")
    with pytest.raises(VolumeFailure, match="is not a directory"):
        volumes.set_up([HostPath("h", str(tmp_path / "none"), "Directory")], "v1")
    volumes.set_up([HostPath("h", str(tmp_path / "made"), "DirectoryOrCreate")], "v1")
    mount = {"name": "h", "mountPath": "data", "readOnly": True}
    [made] = volumes.mounts(container(volumeMounts=[mount]), {})
    assert (made.source, made.target, made.read_only) == (str(tmp_path / "made"), "/data", True)


def test_everything_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    volumes, theirs = PodVolumes(tmp_path / "pod"), tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "keep").write_text("x")
    volumes.set_up([EmptyDir("m", "memory", 2**20), HostPath("h", str(theirs)),
                    Payload("s", {"k": File(b"s", 0o400)}, secret=True)], "v1")  # fmt: skip
    sub = [{"name": "h", "mountPath": "/h", "subPath": "keep"}]
    assert len(volumes.mounts(container(volumeMounts=sub), {})) == 1
    volumes.set_up([Payload("s", {"k": File(b"t", 0o400)}, secret=True)], "v2")
    assert (tmp_path / "pod/volumes/s/k").read_bytes() == b"t"
    volumes.tear_down()
    assert not (tmp_path / "pod").exists()
    assert (theirs / "keep").read_text() == "x"
