"""rollout status, history, undo, pause, resume and restart, as kubectl makes them out of Deployments
and ReplicaSets (kubectl/pkg/polymorphichelpers: rollout_status.go, rollback.go, history.go)."""

from __future__ import annotations

from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Ref
from longshore.testing.console.changing import named
from longshore.testing.console.refusals import Complaint
from longshore.testing.console.session import Caller, padded
from longshore.testing.console.words import Words

_REVISION = "deployment.kubernetes.io/revision"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_HASH = "pod-template-hash"


async def rollout(caller: Caller, words: Words) -> None:
    """rollout status|history|pause|resume|restart|undo deploy/NAME [--to-revision=N]"""
    verb = words.next("what to do")
    ref = named(caller, words)
    if verb in ("pause", "resume"):
        await caller.patch(ref, {"spec": {"paused": True if verb == "pause" else None}})
        caller.printed.append(caller.said(ref.kind, ref.name, f"{verb}d".replace("ee", "e")))
    elif verb == "restart":
        stamp = {_RESTARTED: rfc3339(caller.session.clock.now())}
        await caller.patch(ref, {"spec": {"template": {"metadata": {"annotations": stamp}}}})
        caller.printed.append(caller.said(ref.kind, ref.name, "restarted"))
    elif verb == "undo":
        await _undo(caller, ref, int(words.options.get("to-revision", "0")))
    elif verb == "history":
        caller.printed += await _history(caller, ref)
    elif verb == "status":
        caller.printed.append(_status(await caller.get(ref)))
    else:
        raise ValueError(f"there is no rollout {verb}")


def _status(deployment: Doc) -> str:
    name, status = deployment["metadata"]["name"], deployment.get("status") or {}
    if deployment["metadata"]["generation"] > status.get("observedGeneration", 0):
        return "Waiting for deployment spec update to be observed..."
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    if conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded":
        raise Complaint(f'deployment "{name}" exceeded its progress deadline')
    waits = f'Waiting for deployment "{name}" rollout to finish: '
    wanted, there = deployment["spec"]["replicas"], status.get("replicas", 0)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return f"{waits}{updated} out of {wanted} new replicas have been updated..."
    if there > updated:
        return f"{waits}{there - updated} old replicas are pending termination..."
    if available < updated:
        return f"{waits}{available} of {updated} updated replicas are available..."
    return f'deployment "{name}" successfully rolled out'


async def _undo(caller: Caller, ref: Ref, revision: int) -> None:
    deployment = await caller.get(ref)
    if deployment["spec"].get("paused"):
        raise Complaint(f'you cannot rollback a paused deployment; resume it first with "kubectl '
                        f'rollout resume" and try again: deployment "{ref.name}"')  # fmt: skip
    sets = await _sets(caller, deployment)
    wanted = revision or max((number for number in sets if number < max(sets)), default=0)
    if wanted not in sets:
        raise Complaint("no rollout history found for deployment " + f'"{ref.name}"'
                        if not revision else f"unable to find specified revision {revision} "
                        "in history")  # fmt: skip
    template = sets[wanted]["spec"]["template"]
    labels = {k: v for k, v in template["metadata"]["labels"].items() if k != _HASH}
    template = {**template, "metadata": {**template["metadata"], "labels": labels}}
    body = {**deployment, "spec": {**deployment["spec"], "template": template}}
    before = deployment["metadata"]["generation"]
    after = await caller.ask("PUT", ref, body)
    same = before == after["metadata"]["generation"]
    did = f"skipped rollback (current template already matches revision {wanted})"
    caller.printed.append(caller.said(ref.kind, ref.name, did if same else "rolled back"))


async def _history(caller: Caller, ref: Ref) -> list[str]:
    sets = await _sets(caller, await caller.get(ref))
    rows = [[str(number), _images(sets[number])] for number in sorted(sets)]
    return padded([["REVISION", "IMAGES"], *rows])


async def _sets(caller: Caller, deployment: Doc) -> dict[int, Doc]:
    """A Deployment's ReplicaSets by their revisions."""
    uid = deployment["metadata"]["uid"]
    return {
        int(one["metadata"]["annotations"][_REVISION]): one
        for one in await caller.all(kinds.REPLICA_SET, caller.namespace)
        if any(o["uid"] == uid for o in one["metadata"].get("ownerReferences") or ())
    }


def _images(replica_set: Doc) -> str:
    return ",".join(one["image"] for one in replica_set["spec"]["template"]["spec"]["containers"])
