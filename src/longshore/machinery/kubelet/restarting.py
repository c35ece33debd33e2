"""Which containers that ended are started again. Pure.

A container's own policy goes before its pod's, and its rules before both (KEP-5307, KEP-5532;
pkg/api/v1/pod: ContainerShouldRestart, FindMatchingContainerRestartRule).
"""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

RESTART = "Restart"
RESTART_ALL = "RestartAllContainers"


def comes_back(container: Doc, of_pod: str, exit_code: int) -> bool:
    """Whether a container is started again; of_pod is the policy that holds where it has none."""
    if action_of(container, exit_code) in (RESTART, RESTART_ALL):
        return True
    policy = container.get("restartPolicy") or of_pod
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def action_of(container: Doc, exit_code: int) -> str:
    """What the first rule says that fits; "" if none does. Rules count only beside a policy."""
    if not container.get("restartPolicy"):
        return ""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        listed = exit_code in (codes.get("values") or ())
        if listed == (codes.get("operator") == "In"):
            return str(rule["action"])
    return ""
