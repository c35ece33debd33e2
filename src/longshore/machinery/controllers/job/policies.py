"""What the policies of a Job say: of a failed pod, and of the indexes that succeeded. Pure.

Rules: KEP-3329 (pod failure policy), KEP-3998 (success policy); pkg/controller/job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.job.indexes import Indexes


@dataclass(frozen=True, slots=True)
class Verdict:
    """action is Count, FailIndex, FailJob or Ignore, or "" if no rule matched; message is why the Job
    fails, if it does."""

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure is one towards the limits."""
        return self.action != "Ignore"


NONE = Verdict()


def judged(policy: Doc | None, pod: Doc) -> Verdict:
    """What the first rule that matches says of a failed pod."""
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        said = _matched(rule, pod)
        if said:
            action = rule["action"]
            why = f"{said} matching {action} rule at index {number}"
            return Verdict(action, why if action == "FailJob" else "")
    return NONE


def _matched(rule: Doc, pod: Doc) -> str:
    """What of the pod matches a rule, as the message begins; "" if nothing does."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    who = f"{metadata['namespace']}/{metadata['name']}"
    if (codes := rule.get("onExitCodes")) is not None:
        for container in _containers(status):
            code = _exit_code(container)
            if code and _asked(codes, container["name"], code):
                return f"Container {container['name']} for pod {who} failed with exit code {code}"
        return ""
    patterns = {(one["type"], one["status"]) for one in rule.get("onPodConditions") or ()}
    for condition in status.get("conditions") or ():
        if (condition["type"], condition["status"]) in patterns:
            return f"Pod {who} has condition {condition['type']}"
    return ""


def _containers(status: Doc) -> Iterable[Doc]:
    return (
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    )


def _exit_code(container: Doc) -> int:
    """0 for one that has not ended, too."""
    ended = (container.get("state") or {}).get("terminated") or {}
    return int(ended.get("exitCode", 0))


def _asked(codes: Doc, container: str, code: int) -> bool:
    if codes.get("containerName") not in (None, container):
        return False
    return bool((code in codes["values"]) == (codes["operator"] == "In"))


def success_rule(policy: Doc | None, completions: int, succeeded: Indexes) -> int | None:
    """The number of the first rule of a success policy that is met; None if none is."""
    if not succeeded:
        return None
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        count, wanted = rule.get("succeededCount"), rule.get("succeededIndexes")
        if wanted is None:
            met = count is not None and len(succeeded) >= count
        else:
            asked = Indexes.parse(wanted, completions)
            done = asked.overlap(succeeded)
            met = done == len(asked) > 0 or (count is not None and done >= count)
        if met:
            return number
    return None
