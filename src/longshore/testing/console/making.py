"""apply and create."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.testing.console.refusals import Refused
from longshore.testing.console.session import APPLY, MANAGER, Caller
from longshore.testing.console.shorthand import document
from longshore.testing.console.words import Words
from longshore.testing.kube.manifests import parsed
from longshore.testing.kube.naming import kind_named, kind_of, path_of


async def apply(caller: Caller, words: Words) -> None:
    """apply KIND NAME... [KEY=VALUE...], or apply <<EOF: server-side. By the console's own manager it
    is by force; by another, with --field-manager, only if --force-conflicts says so."""
    manager = words.options.get("field-manager", MANAGER)
    force = manager == MANAGER or "force-conflicts" in words.options
    for kind, doc in _documents(caller, words):
        path = path_of(kind, _namespace(caller, kind, doc), doc["metadata"]["name"])
        before = await _revision(caller, path)
        query = {"fieldManager": manager, "force": "true" if force else ""}
        after = await caller.send("PATCH", path, doc, media=APPLY, query=query)
        unchanged = before == after["metadata"]["resourceVersion"]
        did = "created" if not before else "unchanged" if unchanged else "configured"
        caller.printed.append(caller.said(kind, doc["metadata"]["name"], did))


async def create(caller: Caller, words: Words) -> None:
    """create KIND NAME... [KEY=VALUE...], create <<EOF, or create token ACCOUNT."""
    if words.rest[:1] == ["token"]:
        return await _create_token(caller, words.rest[1])
    for kind, doc in _documents(caller, words):
        path = path_of(kind, _namespace(caller, kind, doc))
        made = await caller.send("POST", path, doc, query={"fieldManager": MANAGER})
        caller.printed.append(caller.said(kind, made["metadata"]["name"], "created"))


async def _create_token(caller: Caller, account: str) -> None:
    """The token is kept under the account's name, for "as token:ACCOUNT"."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    ref = Ref(kind_of("serviceaccount"), caller.namespace, account, "token")
    made = await caller.ask("POST", ref, body)
    caller.session.tokens[account] = made["status"]["token"]
    caller.printed.append(f"a token until {made['status']['expirationTimestamp']}")


def _documents(caller: Caller, words: Words) -> Iterator[tuple[Kind, Doc]]:
    if words.body:
        docs = list(parsed(caller.real(words.body), "the document"))
    else:
        settings = words.settings()
        kind = kind_of(words.next("the kind"))
        docs = [document(kind, caller.real(name), settings) for name in words.rest]
    for doc in docs:
        named = kind_named(doc["apiVersion"], doc["kind"])
        if named is None:
            raise ValueError(f"there is no kind {doc['kind']} in {doc['apiVersion']}")
        yield named, doc


def _namespace(caller: Caller, kind: Kind, doc: Doc) -> str:
    return doc["metadata"].get("namespace", caller.namespace) if kind.namespaced else ""


async def _revision(caller: Caller, path: str) -> str:
    """What an object has before it is applied; empty if it is not there, or cannot be read."""
    printed = list(caller.printed)
    try:
        doc = await caller.send("GET", path)
    except Refused:
        return ""
    finally:
        caller.printed[:] = printed
    return str(doc["metadata"]["resourceVersion"])
