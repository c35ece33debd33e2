"""NodeName: a pod that names its node goes nowhere else."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

from .cluster import Cluster, Judge, name_of
from .profile import Profile

REASON = "node(s) didn't match the requested node name"


def judge(cluster: Cluster, pod: Doc, profile: Profile) -> Judge:
    wanted = pod["spec"].get("nodeName")
    return lambda node: [REASON] if wanted and wanted != name_of(node) else []
