"""Kubeconfig files: one of a cluster's own, and its entries in the user's ~/.kube/config."""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from longshore.base.files import write_private
from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths
from longshore.core.pki.pairs import Pair

_LISTS = ("clusters", "contexts", "users")


def kubeconfig(config: ClusterConfig, authority: Path, admin: Pair) -> dict[str, Any]:
    """The cluster as an administrator reaches it, with its certificates inside."""
    name = config.context
    cluster = {"server": config.server, "certificate-authority-data": _data(authority)}
    user = {
        "client-certificate-data": _data(admin.certificate),
        "client-key-data": _data(admin.key),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def write(config: ClusterConfig, paths: ClusterPaths) -> None:
    """Write the cluster's own kubeconfigs: the administrator's, whom a role makes one, and that for
    emergencies, which is above all roles."""
    authority = Pair.named(paths.pki, "ca").certificate
    for name, file in (("admin", paths.kubeconfig), ("super-admin", paths.super_admin)):
        content = kubeconfig(config, authority, Pair.named(paths.pki, name))
        write_private(file, render(content))


def rewrite(config: ClusterConfig, paths: ClusterPaths) -> None:
    """Write them, and the cluster's entries in the user's, if it has some there."""
    write(config, paths)
    authority = Pair.named(paths.pki, "ca").certificate
    content = kubeconfig(config, authority, Pair.named(paths.pki, "admin"))
    if mentions(config.context, user_file()):
        merge(content, user_file())


def render(content: dict[str, Any]) -> bytes:
    import yaml

    return yaml.safe_dump(content, sort_keys=False).encode()


def user_file() -> Path:
    """Where kubectl looks: the first file of $KUBECONFIG, else ~/.kube/config."""
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(first) if first else Path.home() / ".kube" / "config"


def merge(content: dict[str, Any], path: Path) -> None:
    """Put a cluster's entries into a kubeconfig in place of older ones of the same name, and make
    its context the current one. Raises ClusterError if the file is not a kubeconfig."""
    with _locked(path):
        present = _read(path)
        for key in _LISTS:
            new = {entry["name"] for entry in content[key]}
            kept = [entry for entry in present.get(key) or [] if entry.get("name") not in new]
            present[key] = kept + content[key]
        present["current-context"] = content["current-context"]
        write_private(path, render({"apiVersion": "v1", "kind": "Config", **present}))


def remove(name: str, path: Path) -> None:
    """Take a cluster's entries out again; the file goes if nothing else is in it."""
    if not path.exists():
        return
    with _locked(path):
        present = _read(path)
        before = [entry.get("name") for key in _LISTS for entry in present.get(key) or []]
        if name not in before:
            return
        for key in _LISTS:
            present[key] = [e for e in present.get(key) or [] if e.get("name") != name]
        if present.get("current-context") == name:
            present["current-context"] = ""
        if any(present[key] for key in _LISTS):
            write_private(path, render(present))
        else:
            path.unlink()


def mentions(name: str, path: Path) -> bool:
    """Whether a kubeconfig has a context of that name."""
    if not path.exists():
        return False
    return any(entry.get("name") == name for entry in _read(path).get("contexts") or [])


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    import yaml

    try:
        content = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise ClusterError(f"{path} is not YAML ({error}): mend it, or use --no-merge") from error
    if not isinstance(content, dict):
        raise ClusterError(f"{path} is not a kubeconfig: mend it, or use --no-merge")
    return content


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # client-go's own lock is a file next to it, made exclusively; flock suffices between us.
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
