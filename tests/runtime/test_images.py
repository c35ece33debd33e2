"""The image store, against archives of our own, of skopeo's, damaged ones and hostile ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from longshore.machinery.runtime.images import ImageConfig, ImageStore, build_image, normalise
from longshore.machinery.runtime.images.unpack import unpack_layer
from longshore.machinery.runtime.protocol import ImagePullFailed, RuntimeFailure

root_only = pytest.mark.root


def entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def layer(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def archive(
    path: Path, name: str, *layers: bytes, squeeze: Callable[[bytes], bytes] = bytes
) -> str:
    """A docker-archive of those layer tars; the image's id."""
    ids = [hashlib.sha256(each).hexdigest() for each in layers]
    config = orjson.dumps(
        {"config": {}, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each}" for each in ids]}}
    )
    image_id = hashlib.sha256(config).hexdigest()
    places = [f"{each}.tar" for each in ids]
    manifest = [{"Config": f"{image_id}.json", "RepoTags": [name], "Layers": places}]
    parts = [
        (entry(f"{image_id}.json"), config),
        (entry("manifest.json"), orjson.dumps(manifest)),
        *((entry(place), squeeze(each)) for place, each in zip(places, layers, strict=True)),
    ]
    path.write_bytes(layer(*parts))
    return image_id


def unpacked(tmp_path: Path, content: bytes) -> Path:
    target = tmp_path / "layer"
    target.mkdir()
    unpack_layer(io.BytesIO(content), hashlib.sha256(content).hexdigest(), target)
    return target


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store")


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.17.9", "docker.io/library/nginx:1.17.9"),
        ("user/app:1", "docker.io/user/app:1"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx:1", "docker.io/library/nginx:1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
        (
            "registry.k8s.io/e2e-test-images/agnhost:2.47",
            "registry.k8s.io/e2e-test-images/agnhost:2.47",
        ),
        ("app:1@sha256:" + "a" * 64, "docker.io/library/app@sha256:" + "a" * 64),
    ],
)
def test_references_are_completed_as_docker_does(given: str, full: str) -> None:
    assert normalise(given) == full
    assert normalise(full) == full


@pytest.mark.parametrize(
    "bad", ["", "Upper", "a:b:c", "a@sha256:12", "a b", "../x", "x/", "a:" + "t" * 129]
)
def test_what_is_no_reference_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="image reference"):
        normalise(bad)


@root_only
def test_a_built_image_is_loaded_with_its_configuration(tmp_path: Path, store: ImageStore) -> None:
    config = ImageConfig(
        ["/bin/app"], ["-v"], ["A=1"], "/srv", "1000:1000", "SIGQUIT", {"bin/b": "app"}
    )
    out = tmp_path / "app.tar"
    image_id = build_image(out, ["app:1", "app:2"], config, files={"bin/app": b"#!", "etc/x": b"y"})
    (image,) = store.load(out)
    assert image.id == image_id
    assert image.names == ("docker.io/library/app:1", "docker.io/library/app:2")
    assert (image.entrypoint, image.command, image.env) == (("/bin/app",), ("-v",), ("A=1",))
    assert (image.working_dir, image.user, image.stop_signal) == ("/srv", "1000:1000", "SIGQUIT")
    assert image.size > 0
    assert store.get("app:2") == store.get(image_id) == store.get(f"sha256:{image_id}") == image
    assert store.get("app:3") is None
    assert store.get("Not A Reference") is None
    assert store.list() == [image]
    found = store.find("app:1")
    assert found is not None
    content = store.layers_dir / found.layers[0] / "fs"
    assert (content / "bin/app").stat().st_mode & 0o777 == 0o755
    assert os.readlink(content / "bin/b") == "app"


def test_the_same_input_builds_the_same_image(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "file").write_text("x")
    made = [build_image(tmp_path / f"{n}.tar", ["a"], ImageConfig(), tree=tree) for n in range(2)]
    assert made[0] == made[1]
    assert (tmp_path / "0.tar").read_bytes() == (tmp_path / "1.tar").read_bytes()


@root_only
@pytest.mark.slow
def test_an_oci_layout_of_skopeos_is_the_same_image(tmp_path: Path, store: ImageStore) -> None:
    docker, oci = tmp_path / "docker.tar", tmp_path / "oci.tar"
    build_image(docker, ["app:1"], ImageConfig(["/x"]), files={"x": b"content"})
    copy = [
        "skopeo",
        "--insecure-policy",
        "copy",
        "-q",
        f"docker-archive:{docker}",
        f"oci-archive:{oci}:app:2",
    ]
    subprocess.run(copy, check=True)
    (first,), (second,) = store.load(docker), store.load(oci)
    assert second.names[-1] == "docker.io/library/app:2"
    assert second.entrypoint == first.entrypoint
    assert len(list(store.layers_dir.iterdir())) == 1  # gzip or not, it is one layer


@root_only
def test_a_compressed_archive_and_compressed_layers_are_read(
    tmp_path: Path, store: ImageStore
) -> None:
    plain = tmp_path / "plain.tar"
    archive(plain, "a:1", layer((entry("f"), b"x")), squeeze=gzip.compress)
    (tmp_path / "squeezed.tar.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert store.load(plain)[0].id == store.load(tmp_path / "squeezed.tar.gz")[0].id


@root_only
def test_other_compressions_are_refused_by_name(tmp_path: Path, store: ImageStore) -> None:
    (tmp_path / "whole.tar").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(
        RuntimeFailure, match=r"compressed with zstd, which is not supported: use gzip"
    ):
        store.load(tmp_path / "whole.tar")
    archive(
        tmp_path / "inner.tar", "a:1", layer((entry("f"), b"x")), squeeze=lambda _: b"\xfd7zXZ\0.."
    )
    with pytest.raises(RuntimeFailure, match=r"layer .* is compressed with xz"):
        store.load(tmp_path / "inner.tar")
    assert store.list() == []


def snapshot(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")} - {"lock"}


@root_only
@pytest.mark.parametrize("keep", [0, 10, 600, 1700, 2600, 0.6, 0.85])
def test_a_damaged_archive_changes_nothing(tmp_path: Path, store: ImageStore, keep: float) -> None:
    path = tmp_path / "app.tar"
    build_image(path, ["app:1"], ImageConfig(), files={"big": os.urandom(50_000)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep == int(keep) else keep * len(whole))])
    before = snapshot(tmp_path / "store")
    with pytest.raises(RuntimeFailure, match=r"app\.tar is not a whole image archive: ."):
        store.load(path)
    assert snapshot(tmp_path / "store") == before


@root_only
def test_a_changed_byte_is_noticed(tmp_path: Path, store: ImageStore) -> None:
    path = tmp_path / "app.tar"
    build_image(path, ["app:1"], ImageConfig(), files={"big": b"A" * 9000})
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"ABAA", 1))
    with pytest.raises(RuntimeFailure, match="does not have that content"):
        store.load(path)
    assert list(store.layers_dir.iterdir()) == []


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path, store: ImageStore) -> None:
    with pytest.raises(
        RuntimeFailure, match=r"gone\.tar cannot be loaded: No such file or directory"
    ):
        store.load(tmp_path / "gone.tar")


@root_only
def test_a_layer_keeps_what_a_file_system_has(tmp_path: Path) -> None:
    made = unpacked(tmp_path, layer(
        (entry("d", tarfile.DIRTYPE, mode=0o1777, mtime=5), b""),
        (entry("d/tool", mode=0o4755, uid=7, gid=8, mtime=9), b"x"),
        (entry("d/hard", tarfile.LNKTYPE, linkname="d/tool"), b""),
        (entry("soft", tarfile.SYMTYPE, linkname="/d/tool", uid=3), b""),
        (entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666), b""),
        (entry("pipe", tarfile.FIFOTYPE), b""),
        (entry("no/parents/here"), b"y"),
        (entry("cap", pax_headers={
            "SCHILY.xattr.user.note": "v", "SCHILY.xattr.trusted.overlay.opaque": "y",
        }), b""),
    ))  # fmt: skip
    tool = (made / "d/tool").stat()
    assert (stat.S_IMODE(tool.st_mode), tool.st_uid, tool.st_gid, tool.st_mtime) == (
        0o4755,
        7,
        8,
        9,
    )
    assert (made / "d/hard").stat().st_ino == tool.st_ino
    assert stat.S_IMODE((made / "d").stat().st_mode) == 0o1777
    assert (made / "d").stat().st_mtime == 5
    assert (os.readlink(made / "soft"), (made / "soft").lstat().st_uid) == ("/d/tool", 3)
    assert (made / "null").stat().st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO((made / "pipe").stat().st_mode)
    assert (made / "no/parents/here").read_bytes() == b"y"
    assert os.listxattr(made / "cap") == ["user.note"]


@root_only
def test_whiteouts_become_overlayfss_own(tmp_path: Path) -> None:
    made = unpacked(tmp_path, layer(
        (entry("etc/.wh.gone"), b""),
        (entry("etc/.wh..wh..plnk"), b""),
        (entry("opt/.wh..wh..opq"), b""),
        (entry("opt/new"), b"x"),
        (entry("kept"), b"x"),
        (entry(".wh.kept"), b""),
        (entry(".wh.again"), b""),
        (entry("again", tarfile.DIRTYPE, mode=0o755), b""),
    ))  # fmt: skip
    gone = (made / "etc/gone").lstat()
    assert (stat.S_ISCHR(gone.st_mode), gone.st_rdev) == (True, 0)
    assert sorted(path.name for path in (made / "etc").iterdir()) == ["gone"]
    assert os.getxattr(made / "opt", "trusted.overlay.opaque") == b"y"
    assert (made / "opt/new").read_bytes() == (made / "kept").read_bytes() == b"x"
    assert os.getxattr(made / "again", "trusted.overlay.opaque") == b"y"


@root_only
@pytest.mark.parametrize(
    "members",
    [
        [(entry("../escaped"), b"x")],
        [(entry("a/../../escaped"), b"x")],
        [(entry("out", tarfile.SYMTYPE, linkname="OUTSIDE"), b""), (entry("out/escaped"), b"x")],
        [(entry("out", tarfile.SYMTYPE, linkname="../.."), b""), (entry("out/escaped"), b"x")],
        [(entry("hard", tarfile.LNKTYPE, linkname="OUTSIDE/secret"), b"")],
        [(entry("hard", tarfile.LNKTYPE, linkname="../secret"), b"")],
        [(entry("out", tarfile.SYMTYPE, linkname="OUTSIDE"), b""),
         (entry("hard", tarfile.LNKTYPE, linkname="out/secret"), b"")],
        [(entry("d", tarfile.DIRTYPE, mode=0o755), b""), (entry("d/x"), b""),
         (entry("d", tarfile.SYMTYPE, linkname="OUTSIDE"), b""), (entry("d/escaped"), b"x")],
        [(entry("out", tarfile.SYMTYPE, linkname="OUTSIDE/escaped"), b""), (entry("out"), b"x")],
        [(entry("..", tarfile.DIRTYPE, mode=0o777), b"")],
        [(entry("out", tarfile.SYMTYPE, linkname="OUTSIDE"), b""), (entry("out/.wh.secret"), b"")],
    ],
)  # fmt: skip
def test_nothing_leads_out_of_a_layer(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    (tmp_path / "secret").write_text("s")
    for member, _ in members:
        member.linkname = member.linkname.replace("OUTSIDE", str(outside))
    content = layer(*members)
    try:
        made = unpacked(tmp_path, content)
    except (ValueError, OSError):
        made = tmp_path / "layer"
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer", "outside", "secret"]
    assert (tmp_path / "secret").stat().st_nlink == (outside / "secret").stat().st_nlink == 1
    assert not any(
        path.is_file() and path.read_bytes() == b"s"
        for path in made.rglob("*")
        if not path.is_symlink()
    )


@root_only
def test_a_name_moves_to_the_newer_image(tmp_path: Path, store: ImageStore) -> None:
    old = archive(tmp_path / "old.tar", "a:1", layer((entry("f"), b"old")))
    new = archive(tmp_path / "new.tar", "a:1", layer((entry("f"), b"new")))
    store.load(tmp_path / "old.tar")
    store.load(tmp_path / "new.tar")
    named, nameless = store.get("a:1"), store.get(old)
    assert named is not None
    assert nameless is not None
    assert (named.id, nameless.names) == (new, ())


@root_only
def test_what_another_process_loads_is_seen(tmp_path: Path, store: ImageStore) -> None:
    assert store.get("a:1") is None
    archive(tmp_path / "a.tar", "a:1", layer((entry("f"), b"x")))
    load = "import sys; from pathlib import Path; from longshore.machinery.runtime.images import ImageStore; ImageStore(Path(sys.argv[1])).load(Path(sys.argv[2]))"
    command = [sys.executable, "-c", load, str(tmp_path / "store"), str(tmp_path / "a.tar")]
    racing = [subprocess.Popen(command) for _ in range(4)]
    assert [each.wait(200) for each in racing] == [0, 0, 0, 0]
    assert store.get("a:1") is not None
    assert len(store.list()) == 1
    assert len(list(store.layers_dir.iterdir())) == 1


@root_only
def test_removing_takes_names_then_the_image_then_its_own_layers(
    tmp_path: Path, store: ImageStore
) -> None:
    shared = layer((entry("base"), b"x"))
    archive(tmp_path / "a.tar", "a:1", shared, layer((entry("f"), b"a")))
    archive(tmp_path / "b.tar", "b:1", shared, layer((entry("f"), b"b")))
    store.load(tmp_path / "a.tar")
    store.load(tmp_path / "b.tar")
    assert store.remove("a:1") is True
    assert store.remove("a:1") is False
    assert [image.names for image in store.list()] == [("docker.io/library/b:1",)]
    assert len(list(store.layers_dir.iterdir())) == 2
    assert store.remove(store.list()[0].id) is True
    assert list(store.layers_dir.iterdir()) == []


@root_only
def test_a_crashed_writers_remains_go_with_the_next_write(
    tmp_path: Path, store: ImageStore
) -> None:
    (store.layers_dir / ".new-abandoned" / "fs").mkdir(parents=True)
    archive(tmp_path / "a.tar", "a:1", layer((entry("f"), b"x")))
    store.load(tmp_path / "a.tar")
    assert not (store.layers_dir / ".new-abandoned").exists()


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[str]:
    """A registry of one image, with just what a pull asks of it; "127.0.0.1:PORT"."""
    source, blobs = tmp_path / "source.tar", tmp_path / "blobs"
    build_image(source, ["app:1"], ImageConfig(["/x"]), files={"x": b"content"})
    copy = ["skopeo", "--insecure-policy", "copy", "-q", f"docker-archive:{source}", f"dir:{blobs}"]
    subprocess.run(copy, check=True)
    manifest = (blobs / "manifest.json").read_bytes()

    async def serve(request: web.Request) -> web.Response:
        tail = request.path.rpartition("/")[2]
        if request.path == "/v2/":
            return web.Response()
        if "/manifests/" in request.path and tail == "1":
            return web.Response(body=manifest, content_type=orjson.loads(manifest)["mediaType"])
        blob = blobs / tail.removeprefix("sha256:")
        if "/blobs/" in request.path and blob.is_file():
            return web.Response(body=blob.read_bytes())
        return web.json_response(
            {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}, status=404
        )

    runner = web.ServerRunner(web.Server(serve))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@root_only
@pytest.mark.slow
async def test_a_pull_brings_the_image_under_its_name_and_its_digest(
    store: ImageStore, registry: str
) -> None:
    image = await store.pull(f"{registry}/app:1")
    assert image.entrypoint == ("/x",)
    name, pinned = image.names
    assert name == f"{registry}/app:1"
    assert store.get(pinned) == image
    assert pinned.startswith(f"{registry}/app@sha256:")
    assert shutil.which("skopeo")
    assert not list((store.layers_dir.parent).glob(".new-*"))


@root_only
@pytest.mark.slow
async def test_a_pull_that_fails_has_the_registrys_words(store: ImageStore, registry: str) -> None:
    with pytest.raises(ImagePullFailed, match="manifest unknown") as caught:
        await store.pull(f"{registry}/app:2")
    assert "\n" not in str(caught.value)
    with pytest.raises(ImagePullFailed, match="connection refused"):
        await store.pull("127.0.0.1:1/app:1")
    with pytest.raises(ImagePullFailed, match="is not of the form"):
        await store.pull("Not A Reference")
    assert not list((store.layers_dir.parent).glob(".new-*"))
