"""Levels, versions, and the policy that a namespace's labels ask for
(k8s.io/pod-security-admission/api)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from longshore.core.objects.errors import Cause
from longshore.core.objects.rules.problems import METADATA, Path, Problems

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
LEVELS = ("privileged", "baseline", "restricted")
LATEST = "latest"
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]{0,5})")
_STRICTEST = LEVELS[-1]


class Standard(NamedTuple):
    """A level, and the version of the standards by which it is judged ("latest" or "v1.x")."""

    level: str = LEVELS[0]
    version: str = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"

    @property
    def is_free(self) -> bool:
        """Whether everything goes."""
        return self.level == LEVELS[0]

    @property
    def minor(self) -> int | None:
        """Of its version; None for the latest."""
        return None if self.version == LATEST else int(self.version[3:])


class Policy(NamedTuple):
    """What is refused, what is noted in the audit log, and what is warned of."""

    enforce: Standard = Standard()
    audit: Standard = Standard()
    warn: Standard = Standard()

    @property
    def is_free(self) -> bool:
        return self.enforce.is_free and self.audit.is_free and self.warn.is_free


def policy_of(labels: Mapping[str, str], usual: Policy) -> tuple[Policy, list[Cause]]:
    """The policy of a namespace with those labels, and what is wrong with them. A label that cannot
    be read counts as the strictest for what is enforced, and as none for the rest. usual holds for
    what no label speaks of."""
    problems = Problems()
    found = {mode: _standard(mode, labels, getattr(usual, mode), problems) for mode in MODES}
    policy = Policy(**found)
    if f"{PREFIX}warn" not in labels and labels.get(f"{PREFIX}enforce") in LEVELS:
        policy = _warned(policy, has_version=f"{PREFIX}warn-version" in labels)
    return policy, problems.causes


def _standard(
    mode: str, labels: Mapping[str, str], usual: Standard, problems: Problems
) -> Standard:
    level, version = usual
    if (given := labels.get(f"{PREFIX}{mode}")) is not None:
        level = given
        if given not in LEVELS:
            problems.invalid(_at(mode), given, f"must be one of {', '.join(LEVELS)}")
            level = _STRICTEST if mode == "enforce" else LEVELS[0]
    if (given := labels.get(f"{PREFIX}{mode}-version")) is not None:
        version = given
        if given != LATEST and not _VERSION.fullmatch(given):
            problems.invalid(_at(f"{mode}-version"), given, 'must be "latest" or "v1.x"')
            version = LATEST
    return Standard(level, version)


def _at(label: str) -> Path:
    return ((METADATA, "labels"), f"[{PREFIX}{label}]")


def _warned(policy: Policy, *, has_version: bool) -> Policy:
    """What is enforced beyond what is warned of is warned of too, as workloads are only warned."""
    enforced, warned = policy.enforce, policy.warn
    if LEVELS.index(enforced.level) <= LEVELS.index(warned.level):
        return policy
    version = warned.version if has_version else enforced.version
    return policy._replace(warn=Standard(enforced.level, version))
