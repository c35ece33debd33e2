"""rollout status, history, undo, pause, resume and restart, as kubectl makes them out of Deployments and
ReplicaSets, or out of StatefulSets, DaemonSets and ControllerRevisions
(kubectl/pkg/polymorphichelpers: rollback.go, history.go)."""

from __future__ import annotations

from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.testing.console.changing import named
from longshore.testing.console.progress import progress
from longshore.testing.console.refusals import Complaint
from longshore.testing.console.session import STRATEGIC, Caller, padded
from longshore.testing.console.words import Words

_REVISION = "deployment.kubernetes.io/revision"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_HASH = "pod-template-hash"


async def rollout(caller: Caller, words: Words) -> None:
    """rollout status|history|pause|resume|restart|undo KIND/NAME [--to-revision=N]"""
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
        undo = _undo if ref.kind is kinds.DEPLOYMENT else _undo_revision
        await undo(caller, ref, int(words.options.get("to-revision", "0")))
    elif verb == "history":
        caller.printed += await _history(caller, ref)
    elif verb == "status":
        caller.printed.append(progress(ref.kind, await caller.get(ref)))
    else:
        raise ValueError(f"there is no rollout {verb}")


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


async def _undo_revision(caller: Caller, ref: Ref, number: int) -> None:
    owner = await caller.get(ref)
    there = await _revisions(caller, owner)
    wanted = number or max((one for one in there if one < max(there)), default=0)
    if wanted not in there:
        raise Complaint(f"unable to find specified revision {number} in history"
                        if number else "no last revision to roll back to")  # fmt: skip
    before = owner["metadata"]["generation"]
    after = await caller.patch(ref, there[wanted]["data"], STRATEGIC)
    same = before == after["metadata"]["generation"]
    did = f"skipped rollback (current template already matches revision {wanted})"
    caller.printed.append(caller.said(ref.kind, ref.name, did if same else "rolled back"))


async def _history(caller: Caller, ref: Ref) -> list[str]:
    owner = await caller.get(ref)
    if ref.kind is kinds.DEPLOYMENT:
        specs = {n: one["spec"] for n, one in (await _sets(caller, owner)).items()}
    else:
        specs = {n: one["data"]["spec"] for n, one in (await _revisions(caller, owner)).items()}
    rows = [[str(number), _images(specs[number])] for number in sorted(specs)]
    return padded([["REVISION", "IMAGES"], *rows])


async def _sets(caller: Caller, deployment: Doc) -> dict[int, Doc]:
    """A Deployment's ReplicaSets by their revisions."""
    owned = await _owned(caller, kinds.REPLICA_SET, deployment)
    return {int(one["metadata"]["annotations"][_REVISION]): one for one in owned}


async def _revisions(caller: Caller, owner: Doc) -> dict[int, Doc]:
    """A StatefulSet's or DaemonSet's ControllerRevisions by their numbers."""
    owned = await _owned(caller, kinds.CONTROLLER_REVISION, owner)
    return {int(one["revision"]): one for one in owned}


async def _owned(caller: Caller, kind: Kind, owner: Doc) -> list[Doc]:
    uid = owner["metadata"]["uid"]
    return [
        one
        for one in await caller.all(kind, caller.namespace)
        if any(ref["uid"] == uid for ref in one["metadata"].get("ownerReferences") or ())
    ]


def _images(spec: Doc) -> str:
    return ",".join(one["image"] for one in spec["template"]["spec"]["containers"])
