"""Build stand-in images, under the names that examples/ uses, from Debian's packages.

For machines that reach no image registry. nginx:1.17.9 holds Debian's nginx and the libraries it
needs; dockchat/frontend:1.0 and busybox:1.36 hold busybox. Usage: standins.py DIRECTORY
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from longshore.machinery.runtime.images.build import ImageConfig, build_image

NGINX_PACKAGES = (
    "nginx", "nginx-common", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g",
)  # fmt: skip
BUSYBOX_PACKAGE = "busybox-static"
APPLETS = (
    "sh", "cat", "echo", "false", "grep", "head", "hostname", "httpd", "id", "ip", "kill", "ls", "mount",
    "nc", "nslookup", "printenv", "ps", "sleep", "stat", "sync", "tar", "test", "touch", "true", "wget",
)  # fmt: skip
# What of the unpacked packages the web server needs; the rest of libc6 and nginx-common stays out.
NGINX_KEEP = ("usr/sbin/nginx", "usr/share/nginx/html", "etc/nginx/mime.types")
LIBRARIES = ("ld-linux", "libc.so", "libcrypt.so", "libpcre2-8", "libssl", "libcrypto", "libz.so",
             "libnss_files", "libdl", "libpthread", "libm.so")  # fmt: skip
NGINX_CONF = b"""worker_processes 1;
error_log /dev/stderr;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
    include /etc/nginx/mime.types;
    access_log /dev/stdout;
    server { listen 80; location / { root /usr/share/nginx/html; index index.html; } }
}
"""
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
GROUP = b"root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n"
# What a node mounts something on, which images made by any builder have too.
MOUNT_POINTS: dict[str, Path | bytes] = {
    **dict.fromkeys(("etc/hosts", "etc/hostname", "etc/resolv.conf"), b""),
    **{f"{directory}/.keep": b"" for directory in ("dev", "proc", "sys")},
}
PAGE = b"<!DOCTYPE html>\n<title>dockchat</title>\n<h1>dockchat</h1>\n"


def build(directory: Path) -> list[Path]:
    """Make the image tars below directory unless they are there, as this makes them; their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    made = {"nginx.tar": _nginx, "dockchat.tar": _dockchat, "busybox.tar": _busybox}
    changed = Path(__file__).stat().st_mtime
    for name, make in made.items():
        there = directory / name
        if not there.exists() or there.stat().st_mtime < changed:
            temporary = directory / f".{name}"
            make(temporary)
            temporary.rename(directory / name)
    return [directory / name for name in made]


def _nginx(out: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        unpacked, tree = Path(work, "all"), Path(work, "tree")
        _unpack(NGINX_PACKAGES, unpacked)
        for wanted in NGINX_KEEP:
            _copy(unpacked / wanted, tree / wanted)
        for library in unpacked.rglob("*.so*"):
            if library.name.startswith(LIBRARIES) and "gconv" not in library.parts:
                _copy(library, tree / library.relative_to(unpacked))
        for empty in ("run", "var/log/nginx", "var/lib/nginx", "tmp"):
            (tree / empty).mkdir(parents=True, exist_ok=True)
        files = {
            "etc/nginx/nginx.conf": NGINX_CONF,
            "etc/passwd": PASSWD,
            "etc/group": GROUP,
            **MOUNT_POINTS,
        }
        # The loader's path is part of every program; Debian's packages put it below /lib64.
        config = ImageConfig(
            entrypoint=("/usr/sbin/nginx",), command=("-g", "daemon off;"), stop_signal="SIGQUIT"
        )
        build_image(out, ["nginx:1.17.9"], config, tree=tree, files=files)


def _dockchat(out: Path) -> None:
    files = {**_busybox_files(), "www/index.html": PAGE}
    command = ("/bin/busybox", "httpd", "-f", "-p", "5000", "-h", "/www")
    config = ImageConfig(command=command, links=_links())
    build_image(out, ["dockchat/frontend:1.0"], config, files=files)


def _busybox(out: Path) -> None:
    config = ImageConfig(command=("sh",), links=_links())
    build_image(out, ["busybox:1.36"], config, files=_busybox_files())


def _busybox_files() -> dict[str, Path | bytes]:
    return {
        "bin/busybox": _busybox_program(),
        "etc/passwd": PASSWD,
        "etc/group": GROUP,
        "tmp/.keep": b"",
        **MOUNT_POINTS,
    }


def _links() -> dict[str, str]:
    return {f"bin/{applet}": "busybox" for applet in APPLETS}


def _busybox_program() -> Path:
    found = shutil.which("busybox")
    if found is None:
        raise SystemExit(f"busybox is missing: apt-get install {BUSYBOX_PACKAGE}")
    return Path(found)


def _unpack(packages: tuple[str, ...], into: Path) -> None:
    """Download Debian packages and unpack them: nothing is installed."""
    with tempfile.TemporaryDirectory() as downloads:
        # apt drops to its own user to download, which must be able to write here.
        Path(downloads).chmod(0o777)
        done = subprocess.run(
            ["apt-get", "-qq", "download", *packages], cwd=downloads, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"apt-get download failed: {done.stderr.strip()}")
        for package in sorted(Path(downloads).glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(into)], check=True)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: standins.py DIRECTORY")
    for path in build(Path(sys.argv[1])):
        print(path)
