"""The scheduler's profiles as an administrator gives them: upstream's KubeSchedulerConfiguration, kept as
the cluster's scheduler.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.machinery.scheduler.configuration import read_profiles
from longshore.machinery.scheduler.profile import PROFILES, Profile


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
