"""The audit policy of a cluster: its own, if it was given one, or the usual one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.doors.kubernetes.audit.policy import DEFAULT, BadPolicy, Policy, parse


def check(file: Path) -> None:
    """Raises ClusterError if a file is no audit policy, saying what is wrong with it."""
    try:
        parse(_read(file))
    except BadPolicy as error:
        raise ClusterError(f"--audit-policy {file}: {error}") from None


def policy_of(paths: ClusterPaths) -> Policy:
    """Raises ClusterError, so that nothing is served untold."""
    if not paths.audit_policy.exists():
        return parse(DEFAULT)
    check(paths.audit_policy)
    return parse(_read(paths.audit_policy))


def _read(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text())
    except OSError as error:
        raise BadPolicy(f"cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadPolicy(f"is not YAML: {error}") from None
