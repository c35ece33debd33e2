"""Every check of the Pod Security Standards: what it finds, in whose words, since which version."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from longshore.core.objects.podsecurity.policy import Policy, Standard, policy_of
from longshore.core.objects.podsecurity.standards import findings, in_full

HARD: Doc = {
    "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip


def spec_of(*contexts: Doc | None, **spec: Any) -> Doc:
    """A pod with a container for each security context: a, b, ..."""
    containers = [
        {"name": name, "image": "i", **({"securityContext": one} if one is not None else {})}
        for name, one in zip("abc", contexts or ({},), strict=False)
    ]
    return {"containers": containers, **spec}


def found(level: str, spec: Doc, version: str = "latest", **metadata: Any) -> str:
    return in_full(findings(Standard(level, version), metadata, spec))


SELINUX = "set forbidden securityContext.seLinuxOptions"
PROBED = {"livenessProbe": {"httpGet": {"host": "h"}},
          "lifecycle": {"preStop": {"tcpSocket": {"host": "g"}}}}  # fmt: skip

BASELINE = [
    (spec_of(hostNetwork=True, hostPID=True, hostIPC=True),
     "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)"),
    (spec_of({"privileged": True}, {"privileged": True}),
     'privileged (containers "a", "b" must not set securityContext.privileged=true)'),
    (spec_of({"capabilities": {"add": ["NET_RAW", "CHOWN"]}}),
     'non-default capabilities (container "a" must not include "NET_RAW" in '
     "securityContext.capabilities.add)"),
    (spec_of(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")'),
    ({"containers": [{"name": "a", "ports": [{"hostPort": 80}, {"hostPort": 443}]}]},
     'hostPort (container "a" uses hostPorts 443, 80)'),
    (spec_of({"appArmorProfile": {"type": "Unconfined"}}),
     'forbidden AppArmor profile (container "a" must not set AppArmor profile type to "Unconfined")'),
    (spec_of({"seLinuxOptions": {"type": "spc_t", "user": "u", "role": "r"}}),
     f'seLinuxOptions (container "a" {SELINUX}: type "spc_t"; user may not be set; role may not be set)'),
    (spec_of(securityContext={"seLinuxOptions": {"level": "s0", "user": "u"}}),
     f"seLinuxOptions (pod {SELINUX}: user may not be set)"),
    (spec_of({"procMount": "Unmasked"}),
     'procMount (container "a" must not set securityContext.procMount to "Unmasked")'),
    (spec_of({"seccompProfile": {"type": "Unconfined"}},
             securityContext={"seccompProfile": {"type": "Unconfined"}}),
     'seccompProfile (pod and container "a" must not set securityContext.seccompProfile.type to '
     '"Unconfined")'),
    (spec_of(securityContext={"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}]}),
     "forbidden sysctls (kernel.msgmax)"),
    (spec_of(securityContext={"windowsOptions": {"hostProcess": True}}),
     "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)"),
    ({"initContainers": [{"name": "z", **PROBED}], "containers": [{"name": "a", **PROBED}]},
     'probe or lifecycle host (containers "a", "z" use probe or lifecycle hosts "g", "h")'),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "why"), BASELINE)
def test_baseline(spec: Doc, why: str) -> None:
    assert found("baseline", spec) == why
    assert found("privileged", spec) == ""
    assert found("restricted", spec) != found("restricted", spec_of()), "it includes the baseline"


RESTRICTED = [
    ({**HARD, "allowPrivilegeEscalation": True}, {},
     'allowPrivilegeEscalation != false (container "a" must set '
     "securityContext.allowPrivilegeEscalation=false)"),
    ({**HARD, "capabilities": {"add": ["CHOWN", "NET_BIND_SERVICE"]}}, {},
     'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]; '
     'container "a" must not include "CHOWN" in securityContext.capabilities.add)'),
    (HARD, {"volumes": [{"name": "v", "hostPath": {}}, {"name": "w", "nfs": {}}]},
     'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")'),
    ({**HARD, "runAsNonRoot": False}, {"securityContext": {"runAsNonRoot": False}},
     'runAsNonRoot != true (pod and container "a" must not set securityContext.runAsNonRoot=false)'),
    ({k: v for k, v in HARD.items() if k != "runAsNonRoot"}, {},
     'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true)'),
    ({**HARD, "runAsUser": 0}, {}, 'runAsUser=0 (container "a" must not set runAsUser=0)'),
    ({k: v for k, v in HARD.items() if k != "seccompProfile"}, {},
     'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to '
     '"RuntimeDefault" or "Localhost")'),
    ({**HARD, "procMount": "Unmasked"}, {"hostUsers": False},
     'procMount (container "a" must not set securityContext.procMount to "Unmasked")'),
]  # fmt: skip


@pytest.mark.parametrize(("context", "spec", "why"), RESTRICTED)
def test_restricted(context: Doc, spec: Doc, why: str) -> None:
    assert found("restricted", spec_of(context, **spec)) == why


def test_a_hardened_pod_is_fine_everywhere_and_may_say_it_once() -> None:
    assert found("restricted", spec_of(HARD)) == ""
    whole = {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    ordinary = [{"name": "v", "projected": {}}, {"name": "w", "emptyDir": {}}]
    assert found("restricted", spec_of(own, securityContext=whole, volumes=ordinary)) == ""
    assert found("baseline", spec_of()) == ""


def test_the_order_of_findings_is_fixed() -> None:
    reasons = [
        one.reason for one in findings(Standard("restricted"), {}, spec_of(None, hostPID=True))
    ]
    assert reasons == [
        "host namespaces", "allowPrivilegeEscalation != false", "unrestricted capabilities",
        "runAsNonRoot != true", "seccompProfile",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("level", "spec", "since"),
    [
        ("baseline", spec_of(securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}), -32),
        ("baseline", spec_of(securityContext={"sysctls": [
            {"name": "net.ipv4.tcp_notsent_lowat"}]}), -37),
        ("baseline", spec_of({"seLinuxOptions": {"type": "container_engine_t"}}), -31),
        ("baseline", spec_of({"procMount": "Unmasked"}, hostUsers=False), -35),
        ("baseline", {"containers": [{"name": "a", **PROBED}]}, 34),
        ("baseline", spec_of({"seccompProfile": {"type": "Unconfined"}}), 19),
        ("restricted", spec_of({**HARD, "runAsUser": 0}), 23),
        ("restricted", spec_of({**HARD, "capabilities": {}}), 22),
        ("restricted", spec_of({**HARD, "runAsNonRoot": False}, hostUsers=False), -35),
        ("restricted", spec_of({"runAsNonRoot": True}, os={"name": "windows"}), -25),
    ],
)  # fmt: skip
def test_versions(level: str, spec: Doc, since: int) -> None:
    """Found since a minor version; or (negative) no longer since then."""
    before, after = (found(level, spec, f"v1.{abs(since) - one}") for one in (1, 0))
    assert (bool(before), bool(after)) == ((since < 0), (since > 0)), (before, after)
    assert found(level, spec, "v1.99") == found(level, spec)


def test_annotations_of_old() -> None:
    seccomp = {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
    assert found("baseline", spec_of(), "v1.18", annotations=seccomp) == (
        'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")'
    )
    assert found("baseline", spec_of(), annotations=seccomp) == ""
    armour = {"container.apparmor.security.beta.kubernetes.io/a": "unconfined"}
    assert found("baseline", spec_of(), annotations=armour) == (
        "forbidden AppArmor profile (annotation must not set AppArmor profile type to "
        '"container.apparmor.security.beta.kubernetes.io/a="unconfined"")'
    )


@pytest.mark.parametrize(
    ("labels", "policy", "wrong"),
    [
        ({}, "privileged:latest privileged:latest privileged:latest", []),
        ({"enforce": "baseline", "enforce-version": "v1.20"},
         "baseline:v1.20 privileged:latest baseline:v1.20", []),
        ({"enforce": "restricted", "warn": "privileged"},
         "restricted:latest privileged:latest privileged:latest", []),
        ({"enforce": "high", "audit": "low", "warn-version": "1.2"},
         "restricted:latest privileged:latest privileged:latest",
         ["metadata.labels[pod-security.kubernetes.io/enforce]", "metadata.labels[pod-security."
          "kubernetes.io/audit]", "metadata.labels[pod-security.kubernetes.io/warn-version]"]),
    ],
)  # fmt: skip
def test_labels(labels: dict[str, str], policy: str, wrong: list[str]) -> None:
    named = {f"pod-security.kubernetes.io/{key}": value for key, value in labels.items()}
    read, causes = policy_of(named, Policy())
    assert " ".join(map(str, read)) == policy
    assert [cause.field for cause in causes] == wrong
