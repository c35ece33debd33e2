"""delete, evict and drain."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Ref
from longshore.testing.console.changing import close
from longshore.testing.console.names import natural
from longshore.testing.console.refusals import Complaint, Refused
from longshore.testing.console.session import Caller
from longshore.testing.console.words import Words
from longshore.testing.kube.naming import kind_of, path_of, ref_of

_CASCADES = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}


async def delete(caller: Caller, words: Words) -> None:
    """delete KIND NAME..., KIND/NAME... or KIND -l LABELS: [--cascade=background|foreground|orphan]
    [--grace-period=SECONDS]. Nobody waits for the end of it."""
    options: Doc = {"kind": "DeleteOptions", "apiVersion": "v1"}
    options["propagationPolicy"] = _CASCADES[words.options.get("cascade", "background")]
    if "grace-period" in words.options:
        options["gracePeriodSeconds"] = int(words.options["grace-period"])
    for ref in await _named(caller, words):
        await caller.ask("DELETE", ref, options)
        force = " force" if options.get("gracePeriodSeconds") == 0 else ""
        what = f'{ref.kind.resource.replace(ref.kind.plural, ref.kind.singular, 1)} "{ref.name}"'
        caller.printed.append(f"{what}{force} deleted")


async def evict(caller: Caller, words: Words) -> None:
    """evict POD...: [--grace-period=SECONDS]"""
    for name in words.rest:
        name = caller.real(name).removeprefix("pod/")
        await _evict(caller, caller.namespace, name, words.options.get("grace-period"))
        caller.printed.append(f"pod/{name} evicted")


async def drain(caller: Caller, words: Words) -> None:
    """drain NODE [--force]: cordon it, and evict each pod once; who may not go is told of."""
    node = Ref(kinds.NODE, "", words.next("the node"))
    await close(caller, node)
    found = await caller.all(kinds.POD, "", fieldSelector=f"spec.nodeName={node.name}")
    names = caller.session.names
    pods = sorted(found, key=lambda pod: natural(names.shown(pod["metadata"]["name"])))
    bare = [pod for pod in pods if not pod["metadata"].get("ownerReferences")]
    if bare and "force" not in words.options:
        listed = ", ".join(map(_key, bare))
        raise Complaint(f'unable to drain node "{node.name}" due to error: cannot delete cannot delete '
                        f"Pods that declare no controller (use --force to override): {listed}")  # fmt: skip
    gone = [await _sent_away(caller, pod) for pod in pods]
    if all(gone):
        caller.printed.append(caller.said(node.kind, node.name, "drained"))


async def _sent_away(caller: Caller, pod: Doc) -> bool:
    metadata = pod["metadata"]
    caller.printed.append(f"evicting pod {_key(pod)}")
    try:
        await _evict(caller, metadata["namespace"], metadata["name"], None)
    except Refused as refused:
        why = refused.status["message"]
        caller.printed.append(f'error when evicting pods/"{metadata["name"]}" '
                              f'-n "{metadata["namespace"]}": {why}')  # fmt: skip
        return False
    return True


async def _evict(caller: Caller, namespace: str, name: str, grace: str | None) -> None:
    body: Doc = {
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"namespace": namespace, "name": name},
    }  # fmt: skip
    if grace is not None:
        body["deleteOptions"] = {"gracePeriodSeconds": int(grace)}
    await caller.send("POST", path_of(kinds.POD, namespace, name) + "/eviction", body)


async def _named(caller: Caller, words: Words) -> list[Ref]:
    if words.rest and "/" in words.rest[0]:
        return [ref_of(caller.real(word), caller.namespace) for word in words.rest]
    kind = kind_of(words.next("the kind"))
    where = caller.namespace if kind.namespaced else ""
    if "l" in words.options:
        found = await caller.all(kind, where, labelSelector=words.options["l"])
        return [Ref(kind, where, one["metadata"]["name"]) for one in found]
    return [Ref(kind, where, caller.real(name)) for name in words.rest]


def _key(pod: Doc) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
