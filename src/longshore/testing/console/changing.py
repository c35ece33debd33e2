"""scale, set image, patch, label, annotate, own, taint, cordon and uncordon."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Ref
from longshore.testing.console.session import MERGE, STRATEGIC, Caller
from longshore.testing.console.words import Words
from longshore.testing.kube.naming import ref_of


def named(caller: Caller, words: Words) -> Ref:
    """The object that the next word names: KIND/NAME, or KIND and a name of its own."""
    first = words.next("the object")
    if "/" not in first:
        first = f"{first}/{words.next('the name')}"
    return ref_of(caller.real(first), caller.namespace)


async def scale(caller: Caller, words: Words) -> None:
    """scale KIND/NAME --replicas=N"""
    ref = named(caller, words)
    target = Ref(ref.kind, ref.namespace, ref.name, "scale")
    await caller.patch(target, {"spec": {"replicas": int(words.options["replicas"])}})
    caller.printed.append(caller.said(ref.kind, ref.name, "scaled"))


async def set_image(caller: Caller, words: Words) -> None:
    """set image KIND/NAME CONTAINER=IMAGE..."""
    images = words.settings()
    if words.next("what to set") != "image":
        raise ValueError("only set image is known")
    ref = named(caller, words)
    containers = [{"name": name, "image": image} for name, image in images.items()]
    spec: Doc = {"containers": containers}
    patch = {"spec": spec if ref.kind is kinds.POD else {"template": {"spec": spec}}}
    await caller.patch(ref, patch, STRATEGIC)
    caller.printed.append(caller.said(ref.kind, ref.name, "image updated"))


async def patch(caller: Caller, words: Words) -> None:
    """patch KIND/NAME -p YAML [--type=merge|strategic] [--subresource=status]: merge by default."""
    import yaml

    ref = named(caller, words)
    target = Ref(ref.kind, ref.namespace, ref.name, words.options.get("subresource", ""))
    wanted = yaml.safe_load(caller.real(words.options["p"]))
    before = await caller.get(ref)
    media = STRATEGIC if words.options.get("type") == "strategic" else MERGE
    after = await caller.patch(target, wanted, media)
    same = _revision(before) == _revision(after)
    caller.printed.append(caller.said(ref.kind, ref.name, "patched" + " (no change)" * same))


async def label(caller: Caller, words: Words) -> None:
    """label KIND/NAME KEY=VALUE... KEY-..."""
    await _mark(caller, words, "labels", "labeled")


async def annotate(caller: Caller, words: Words) -> None:
    """annotate KIND/NAME KEY=VALUE... KEY-..."""
    await _mark(caller, words, "annotations", "annotated")


async def _mark(caller: Caller, words: Words, where: str, did: str) -> None:
    marks: dict[str, str | None] = dict(words.settings())
    ref = named(caller, words)
    marks |= {word.removesuffix("-"): None for word in words.rest}
    await caller.patch(ref, {"metadata": {where: marks}})
    caller.printed.append(caller.said(ref.kind, ref.name, did))


async def own(caller: Caller, words: Words) -> None:
    """own KIND/NAME KIND/NAME...: the first is owned by the others, and holds up their deletion."""
    ref = named(caller, words)
    owners = [await caller.get(ref_of(caller.real(w), caller.namespace)) for w in words.rest]
    refs = [
        {
            "apiVersion": owner["apiVersion"], "kind": owner["kind"],
            "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
        for owner in owners
    ]  # fmt: skip
    await caller.patch(ref, {"metadata": {"ownerReferences": refs}})
    caller.printed.append(caller.said(ref.kind, ref.name, "owned"))


async def taint(caller: Caller, words: Words) -> None:
    """taint NODE KEY[=VALUE]:EFFECT, or KEY[:EFFECT]- to take it away."""
    ref, wanted = _node(words), words.next("the taint")
    node = await caller.get(ref)
    taints: list[Doc] = node["spec"].get("taints") or []
    key, _, value = wanted.removesuffix("-").partition(":")[0].partition("=")
    effect = wanted.removesuffix("-").partition(":")[2]
    kept = [one for one in taints if one["key"] != key or effect not in ("", one["effect"])]
    if not wanted.endswith("-"):
        kept.append({"key": key, "effect": effect} | ({"value": value} if value else {}))
    await caller.patch(ref, {"spec": {"taints": kept}, "metadata": _as_read(node)})
    did = "untainted" if wanted.endswith("-") else "tainted"
    caller.printed.append(caller.said(ref.kind, ref.name, did))


async def cordon(caller: Caller, words: Words) -> None:
    """cordon NODE"""
    await close(caller, _node(words))


async def close(caller: Caller, node: Ref) -> None:
    await caller.patch(node, {"spec": {"unschedulable": True}})
    caller.printed.append(caller.said(node.kind, node.name, "cordoned"))


async def uncordon(caller: Caller, words: Words) -> None:
    """uncordon NODE"""
    node = _node(words)
    await caller.patch(node, {"spec": {"unschedulable": None}})
    caller.printed.append(caller.said(node.kind, node.name, "uncordoned"))


def _node(words: Words) -> Ref:
    return Ref(kinds.NODE, "", words.next("the node").removeprefix("node/"))


def _as_read(doc: Doc) -> Doc:
    return {"resourceVersion": _revision(doc)}


def _revision(doc: Doc) -> Any:
    return doc["metadata"]["resourceVersion"]
