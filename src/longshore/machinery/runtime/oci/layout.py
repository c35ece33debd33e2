"""Where a runtime keeps what: directories below its root, control groups below its parent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from longshore.machinery.runtime.linux import (
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_PRIVATE,
    is_mount_point,
    mount,
)
from longshore.machinery.runtime.oci.destroy import remove_tree

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
_RUN_OPTIONS = "mode=700,size=256m"


@dataclass(frozen=True, slots=True)
class Layout:
    """parent is the control group above all pods'."""

    root: Path
    parent: str

    @property
    def run(self) -> Path:
        """What does not outlive a restart of the machine."""
        return self.root / "run"

    @property
    def containers(self) -> Path:
        return self.run / "containers"

    @property
    def sandboxes(self) -> Path:
        return self.run / "sandboxes"

    def container(self, container_id: str) -> Path:
        return self.containers / container_id

    def sandbox(self, sandbox_id: str) -> Path:
        return self.sandboxes / sandbox_id

    def written(self, directory: Path) -> Path:
        """Where what the container of that directory writes goes: on disk."""
        return self.root / "written" / directory.name

    def pod_group(self, sandbox_id: str, qos: str) -> str:
        """A pod's control group, below that of its QoS class as upstream has it (pkg/kubelet/cm:
        qosContainersInfo); Guaranteed pods are directly below the parent."""
        return f"{self.tier(qos)}/pod{sandbox_id}"

    def tier(self, qos: str) -> str:
        """The group of all pods of a QoS class."""
        return self.parent if qos == GUARANTEED else f"{self.parent}/{qos.lower()}"

    def make(self) -> None:
        """The records live in memory (a tmpfs): making the dozen small files of a container there
        is several times cheaper, and after a restart of the machine there is nothing to record."""
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        mounted = Path("/proc/self/mountinfo").read_text()
        if not is_mount_point(self.root, mounted):
            # Private, so that no other mount namespace gets copies that keep our mounts busy.
            mount(str(self.root), self.root, "", MS_BIND)
            mount("", self.root, "", MS_PRIVATE)
        if not is_mount_point(self.run, mounted):
            mount("longshore", self.run, "tmpfs", MS_NOSUID | MS_NODEV, _RUN_OPTIONS)
            remove_tree(self.root / "written")
        for directory in (self.sandboxes, self.containers, self.root / "written"):
            directory.mkdir(mode=0o700, exist_ok=True)
