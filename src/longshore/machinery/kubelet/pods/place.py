"""One pod's files on the node: volumes, /etc files, termination messages, logs.

ROOT/pods/UID/                       private (0700): Secrets may be below
    etc/{hosts,hostname,resolv.conf}
    volumes/NAME, subpaths/...       see volumes/run.py
    messages/CONTAINER/ATTEMPT       what the container leaves at terminationMessagePath
ROOT/logs/NAMESPACE_NAME_UID/CONTAINER/ATTEMPT.log
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import TERMINATION_MESSAGE_MAX_BYTES, KubeletConfig
from longshore.machinery.kubelet.containers.files import pod_files
from longshore.machinery.kubelet.volumes.plan import Volume
from longshore.machinery.kubelet.volumes.run import PodVolumes
from longshore.machinery.runtime.protocol import Container, Mount
from longshore.machinery.runtime.rotated import delete_log

# FallbackToLogsOnError (pkg/kubelet/kuberuntime: MaxContainerTerminationMessageLogLength, ...Lines)
_LOG_TAIL_MAX_BYTES = 2048
_LOG_TAIL_LINES = 80
_LOG_READ_BYTES = 64 * 1024
_HOSTS = Path("/etc/hosts")
_FILES = ("hosts", "hostname", "resolv.conf")
_DEFAULT_MESSAGE_PATH = "/dev/termination-log"


class PodPlace:
    """Makes, reads and removes the files of one pod. Every method may be repeated."""

    def __init__(self, config: KubeletConfig, pod: Doc) -> None:
        metadata = pod["metadata"]
        self._config = config
        self._dir: Path = config.pods_dir / metadata["uid"]
        self._logs: Path = config.logs_dir / "_".join(
            (metadata["namespace"], metadata["name"], metadata["uid"])
        )
        self._volumes = PodVolumes(self._dir)

    @property
    def exists(self) -> bool:
        return (self._dir / "hosts").exists()

    @property
    def logs(self) -> str:
        """Below it are the logs of all the pod's containers."""
        return str(self._logs)

    def prepare(self, pod: Doc, ips: tuple[str, ...], node_resolv_conf: str) -> None:
        """Write the pod's /etc files. Raises OSError."""
        config = self._config
        _make(self._dir, 0o700)
        dns = (config.cluster_dns, config.cluster_domain, node_resolv_conf)
        own = _node_hosts() if pod["spec"].get("hostNetwork") else ""
        for target, text in pod_files(pod, ips, config.node_name, dns, own).items():
            _write(f"{self._dir}/{target.removeprefix('/etc/')}", text)

    def set_up(self, volumes: Iterable[Volume], stamp: str) -> None:
        """See that the volumes are there. Raises VolumeFailure."""
        self._volumes.set_up(volumes, stamp)

    def mounts(self, container: Doc, attempt: int, env: dict[str, str]) -> Sequence[Mount]:
        """Everything to be mounted into one attempt; what the pod itself mounts comes last and
        wins. The file for its
        last words is made. Raises ConfigMissing, VolumeFailure or OSError."""
        own = self._volumes.mounts(container, env)
        taken = {mount.target for mount in own}
        files = [Mount(f"{self._dir}/{name}", f"/etc/{name}") for name in _FILES]
        message = container.get("terminationMessagePath") or _DEFAULT_MESSAGE_PATH
        said = self._message_file(container["name"], attempt)
        # The container's user, whoever it is, writes it; the directory above is private.
        Path(said).touch()
        Path(said).chmod(0o666)
        files.append(Mount(said, message))
        return [mount for mount in files if mount.target not in taken] + list(own)

    def _message_file(self, name: str, attempt: int) -> str:
        return f"{self._dir}/message-{name}-{attempt}"

    def log_path(self, name: str, attempt: int) -> Path:
        return self._logs / name / f"{attempt}.log"

    def new_log(self, name: str, attempt: int) -> str:
        """The log file of an attempt that is about to start; its directory is made."""
        path = self.log_path(name, attempt)
        _make(self._logs, 0o755)
        _make(path.parent, 0o755)
        return str(path)

    def message(self, container: Doc, ended: Container) -> str:
        """What the container said at its end: its termination message, or with
        FallbackToLogsOnError the end of its log."""
        path = self._message_file(ended.name, ended.attempt)
        said = _read(path, TERMINATION_MESSAGE_MAX_BYTES)
        fallback = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if said or not fallback or ended.exit_code == 0:
            return said.decode(errors="replace")
        return _log_tail(self.log_path(ended.name, ended.attempt))

    def forget(self, name: str, attempt: int) -> None:
        """Delete what an attempt that is no longer shown has left."""
        if attempt >= 0:
            delete_log(self.log_path(name, attempt))
            Path(self._message_file(name, attempt)).unlink(missing_ok=True)

    def release(self) -> None:
        """Unmount and delete volumes; logs and messages stay. Blocking."""
        self._volumes.release()
        for name in _FILES:
            (self._dir / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete everything. Blocking: an emptyDir may be large."""
        self._volumes.tear_down()
        shutil.rmtree(self._logs, ignore_errors=True)


def _node_hosts() -> str:
    try:
        return _HOSTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _make(directory: Path, mode: int) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, mode)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _read(path: str, most: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return b""


def _log_tail(path: Path) -> str:
    """The last lines of a CRI log, without their time stamps."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_READ_BYTES))
            lines = file.read().splitlines()[-_LOG_TAIL_LINES:]
    except OSError:
        return ""
    texts = [parts[3] for line in lines if len(parts := line.split(b" ", 3)) == 4]
    return b"\n".join(texts)[-_LOG_TAIL_MAX_BYTES:].decode(errors="replace")
