"""Judge a running cluster's configuration, control by control."""

from __future__ import annotations

from pathlib import Path

from longshore.base.clock import SystemClock
from longshore.cluster.audit_config.gather import Say, gather
from longshore.cluster.audit_config.report import Finding, judge
from longshore.cluster.config import ClusterPaths, default_root


def audited(name: str, root: Path | None, say: Say) -> list[Finding]:
    """All controls with their verdicts. say hears what takes its time. Raises ClusterError."""
    paths = ClusterPaths(root or default_root(), name)
    config = paths.load()
    return judge(gather(config, paths, SystemClock(), say))
