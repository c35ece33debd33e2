"""The Pod Security Standards, control by control: which of the pods that run break it."""

from __future__ import annotations

from longshore.cluster.audit_config.evidence import Evidence
from longshore.cluster.audit_config.verdicts import Check, Control, Verdict, unless
from longshore.cluster.audit_config.workloads import BASELINE, RESTRICTED, named, of_users
from longshore.core.objects.podsecurity import walks
from longshore.core.objects.podsecurity.standards import own_checks

_TITLES = {
    "appArmorProfile": "AppArmor is not loosened",
    "capabilities": "no capability beyond the usual is added",
    "hostNamespaces": "no namespace of the node's",
    "hostPathVolumes": "no files of the node's",
    "hostPorts": "no ports of the node's",
    "hostProbesAndHostLifecycle": "probes and hooks ask the pod alone",
    "privileged": "no privileged container",
    "procMount": "the usual /proc",
    "seLinuxOptions": "SELinux is not loosened",
    "seccompProfile": "seccomp is not switched off",
    "sysctls": "safe sysctls only",
    "windowsHostProcess": "no HostProcess container",
    "allowPrivilegeEscalation": "nobody gains privileges",
    "restrictedVolumes": "harmless kinds of volumes only",
    "runAsNonRoot": "not as root",
    "runAsUser": "not as user 0",
}
_STRICTER = {
    "capabilities": "all capabilities are dropped",
    "seccompProfile": "seccomp is asked for",
}


def _controls(level: str) -> list[Control]:
    titles = _TITLES | (_STRICTER if level == RESTRICTED else {})
    return [
        Control(f"{level}/{name}", titles[name], _check(check, level))
        for name, check in own_checks(level).items()
    ]


def _check(broken_by: walks.Check, level: str) -> Check:
    def check(evidence: Evidence) -> Verdict:
        pods = of_users(evidence)
        broken = [named(pod) for pod in pods if broken_by(pod["metadata"], pod["spec"])]
        good = f"all {len(pods)} pods of users keep to it" if pods else "no pod of users runs"
        return unless(broken, good, f"pods below {level}: {{}}")

    return check


STANDARDS = (*_controls(BASELINE), *_controls(RESTRICTED))
