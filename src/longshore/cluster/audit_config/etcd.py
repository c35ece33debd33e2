"""Controls about etcd (2, and 1.2 where the server calls it)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from longshore.cluster.audit_config.evidence import Etcd, Evidence
from longshore.cluster.audit_config.verdicts import (
    Check,
    Control,
    Verdict,
    decided,
    failed,
    manual,
    not_applicable,
    passed,
)

_CheckOfEtcd: TypeAlias = Callable[[Etcd], Verdict]

_NONE = not_applicable("the store is a file that the server alone opens; there is no etcd")


def proves_itself(evidence: Evidence) -> Verdict:
    return _called(evidence.etcd, "a client certificate is shown to etcd")


def checks_it(evidence: Evidence) -> Verdict:
    return _called(evidence.etcd, "etcd is spoken to if its authority vouches for its certificate")


def _called(etcd: Etcd | None, good: str) -> Verdict:
    if etcd is None:
        return _NONE
    bad = f"{etcd.address} is spoken to in the clear: --store-ca, --store-cert and --store-key"
    return decided(etcd.certified, good, bad)


def _told(option: str, wanted: str | None, good: str) -> Check:
    """Members are told an option, with that value (None: any)."""

    def check(etcd: Etcd) -> Verdict:
        value = etcd.options.get(option, "")
        holds = bool(value) if wanted is None else value == wanted
        return decided(holds, good, f"members have --{option}={value}")

    return _of_members(check)


def _untold(option: str, good: str) -> Check:
    def check(etcd: Etcd) -> Verdict:
        return failed(f"members have --{option}") if option in etcd.options else passed(good)

    return _of_members(check)


def _own_authority(etcd: Etcd) -> Verdict:
    file = etcd.options.get("trusted-ca-file", "")
    good = "nobody whom the cluster's authority knows is known to etcd for that"
    return decided(file.endswith("/etcd/ca.crt"), good, f"etcd trusts {file}")


def _of_members(check: _CheckOfEtcd) -> Check:
    def judged(evidence: Evidence) -> Verdict:
        if evidence.etcd is None:
            return _NONE
        if not evidence.etcd.options:
            return manual(
                f"look at the members of {evidence.etcd.address}, which are not the cluster's own"
            )
        return check(evidence.etcd)

    return judged


ETCD = (
    Control("2.1", "etcd shows a certificate", _told("cert-file", None, "members show one")),
    Control("2.2", "etcd checks clients' certificates", _told("client-cert-auth", "true", "they have to show one")),
    Control("2.3", "etcd signs no certificate itself", _untold("auto-tls", "the authority signed them")),
    Control("2.4", "etcd peers show certificates", _told("peer-cert-file", None, "members show one to each other")),
    Control("2.5", "etcd checks its peers", _told("peer-client-cert-auth", "true", "they have to show one")),
    Control("2.6", "etcd peers sign no certificate themselves", _untold("peer-auto-tls", "the authority signed them")),
    Control("2.7", "etcd has an authority of its own", _of_members(_own_authority)),
)  # fmt: skip
