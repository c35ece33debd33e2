"""Controls about the audit log and its policy (1.2.16, 3.2)."""

from __future__ import annotations

from longshore.base.users import User
from longshore.cluster.audit_config.evidence import Evidence
from longshore.cluster.audit_config.files import no_more_than
from longshore.cluster.audit_config.verdicts import (
    PASS,
    Control,
    Verdict,
    decided,
    failed,
    passed,
    unless,
)
from longshore.doors.kubernetes.audit.policy import LEVELS, METADATA, NONE, Deed


def is_written(evidence: Evidence) -> Verdict:
    if not evidence.audit_log_grew:
        return failed("secrets were listed, and log/audit.log does not tell of it")
    verdict = no_more_than(0o600, "log/audit*.log")(evidence)
    good = "log/audit.log tells of what was asked just now, and nobody else may read it"
    return passed(good) if verdict.verdict == PASS else verdict


def _has_rules(evidence: Evidence) -> Verdict:
    count = len(evidence.settings.audit_policy.rules)
    return decided(count > 0, f"a policy of {count} rules is in force", "the policy has no rules")


_SOMEBODY = User("somebody", ("system:authenticated",))
_PRIVATE = (
    Deed(_SOMEBODY, "get", resource="secrets", namespace="a", name="a"),
    Deed(_SOMEBODY, "get", resource="configmaps", namespace="a", name="a"),
    Deed(_SOMEBODY, "create", "authentication.k8s.io", "v1", "tokenreviews"),
)
_OF_NOTE = (
    *(Deed(_SOMEBODY, verb, resource="pods", namespace="a") for verb in ("create", "delete")),
    *(Deed(_SOMEBODY, verb, "apps", "v1", "deployments", namespace="a") for verb in ("create", "patch")),
    *(
        Deed(_SOMEBODY, "create", "", "v1", resource, part, "a", "a")
        for resource, part in (
            ("pods", "exec"), ("pods", "portforward"), ("pods", "proxy"), ("services", "proxy"),
        )
    ),
)  # fmt: skip


def _covers(evidence: Evidence) -> Verdict:
    judge = evidence.settings.audit_policy.judge
    told = {deed: judge(deed).level for deed in (*_PRIVATE, *_OF_NOTE)}
    silent = [_named(deed) for deed, level in told.items() if level == NONE]
    too_much = LEVELS[LEVELS.index(METADATA) + 1 :]
    loud = [f"{_named(deed)} in full" for deed in _PRIVATE if told[deed] in too_much]
    good = "secrets are told of without their contents; changes of workloads, exec and proxy too"
    return unless([*silent, *loud], good, "not told of, or told too much of: {}")


def _named(deed: Deed) -> str:
    whole = f"{deed.resource}/{deed.subresource}" if deed.subresource else deed.resource
    return f"{deed.verb} {whole}"


LOGGING = (
    Control("3.2.1", "there is an audit policy", _has_rules),
    Control("3.2.2", "the audit policy covers what matters", _covers),
)
