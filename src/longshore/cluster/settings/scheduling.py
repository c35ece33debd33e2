"""The scheduler's profiles as an administrator gives them: upstream's KubeSchedulerConfiguration, kept as
the cluster's scheduler.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.configuration import API_VERSION, KIND, read_profiles
from longshore.machinery.scheduler.profile import PROFILES, Profile

GROUP = API_VERSION.partition("/")[0]
"""Under which name a server's /configz tells of its scheduler (upstream: component-base/configz)."""


def document_of(paths: ClusterPaths) -> Doc:
    """The KubeSchedulerConfiguration that a server goes by: what was given, or what that comes to."""
    if paths.scheduler.exists():
        given: Doc = yaml.safe_load(paths.scheduler.read_text())
        return given
    profiles = [{"schedulerName": name} for name in PROFILES]
    return {"apiVersion": API_VERSION, "kind": KIND, "profiles": profiles}


def profiles_of(paths: ClusterPaths) -> Mapping[str, Profile]:
    """By schedulerName; upstream's default profile if nothing was given. Raises ClusterError."""
    return _read(paths.scheduler, str(paths.scheduler)) if paths.scheduler.exists() else PROFILES


def read(file: Path) -> Mapping[str, Profile]:
    """Raises ClusterError, saying what in the file is wrong or has no counterpart here."""
    return _read(file, f"--scheduler-config {file}")


def _read(file: Path, what: str) -> Mapping[str, Profile]:
    try:
        return read_profiles(yaml.safe_load(file.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise ClusterError(f"{what}: {error}") from None
