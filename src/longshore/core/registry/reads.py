"""Reading through the registry: one object, a page of a list, a watch. Answers are stored bytes."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import BadRequest, Cause, NotFound, Timeout
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.core.objects.selectors import FieldSelector, Selector, parse_fields, parse_labels
from longshore.core.registry.permission.authorizer import Authorizer
from longshore.core.registry.versions import as_version, frame_as_version
from longshore.core.watch.cache import Cache, scope
from longshore.core.watch.feeds import CacheFeed, Company, Pace
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored


@dataclass(frozen=True, slots=True)
class ListOptions:
    """As metav1.ListOptions has them; revision and continue_ are still text."""

    labels: str = ""
    fields: str = ""
    limit: int = 0
    continue_: str = ""
    revision: str = ""
    revision_match: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A list, or a piece of one. continue_ is empty on the last; remaining None when unknown."""

    items: list[Stored]
    revision: int
    continue_: str = ""
    remaining: int | None = None


class Filter:
    """Label and field selectors together, against stored objects."""

    def __init__(self, kind: Kind, namespace: str, options: ListOptions) -> None:
        self.kind = kind
        self.prefix = scope(kind, namespace)
        self.labels: Selector = parse_labels(options.labels)
        self.fields: FieldSelector = parse_fields(kind, options.fields)
        self.by_prefix_only = not options.labels and not options.fields
        # Keys end with the name: where one is asked for, hardly anything else is looked at.
        name = self.fields.exact.get("metadata.name", "")
        self._end = f"/{name}" if name else ""
        if namespace or not kind.namespaced:
            self.prefix += name
        # Canonical bytes hold a label exactly so: what lacks it need not be decoded.
        self._needles = [
            b'"%s":"%s"' % (k.encode(), v.encode()) for k, v in self.labels.exact.items()
        ]

    def __call__(self, stored: Stored) -> bool:
        if not stored.key.startswith(self.prefix):
            return False
        if self.by_prefix_only:
            return True
        if self._end and not stored.key.endswith(self._end):
            return False
        if any(needle not in stored.rest for needle in self._needles):
            return False
        doc = stored.doc
        labels = doc["metadata"].get("labels") or {}
        return self.labels.matches(labels) and self.fields.matches(doc)

    @property
    def term(self) -> tuple[str, str] | None:
        """The index term that all matches share, if there is one."""
        if self._end and self.prefix.endswith(self._end):
            return ("key", self.prefix)
        node = self.fields.exact.get("spec.nodeName") if self.kind.kept_as is kinds.POD else None
        return ("node", node) if node else None

    def frame(self, frame: Frame) -> Frame | None:
        """What a watcher with this selector sees of a change (contract rule: an object that
        starts to match is ADDED, one that stops is DELETED in its last matching state)."""
        before = frame.before is not None and self(frame.before)
        after = frame.type != "DELETED" and self(frame.stored)
        if after:
            if before == (frame.type == "MODIFIED"):
                return frame
            return Frame("ADDED", frame.stored, None)
        if not before:
            return None
        if frame.type == "DELETED":
            return frame
        assert frame.before is not None
        return Frame("DELETED", frame.before.at(frame.stored.revision), frame.before)


class Reader:
    """The reading half of the registry."""

    def __init__(self, cache: Cache, permission: Authorizer | None = None) -> None:
        self.cache = cache
        self.permission = permission or Authorizer(cache)

    def get(self, who: User, ref: Ref) -> Stored:
        """The newest state. Raises NotFound or Forbidden."""
        self._authorize(who, "get", ref)
        stored = self.cache.shelf(ref.kind).get(ref.key)
        if stored is None:
            raise NotFound.of(ref.kind, ref.name)
        return as_version(ref.kind, stored)

    def list(self, who: User, kind: Kind, namespace: str, options: ListOptions) -> Page:
        """Sorted by namespace and name, all pages of one list at one revision."""
        chosen = Filter(kind, namespace, options)
        self.permission.authorize_many(who, "list", kind, namespace, chosen.fields.exact)
        return self._page(chosen, options)

    def check_get(self, who: User, ref: Ref) -> None:
        """Return if the caller may get that; raise Forbidden if not."""
        self._authorize(who, "get", ref)

    def check_many(
        self, who: User, verb: str, kind: Kind, namespace: str, options: ListOptions
    ) -> None:
        """Return if the caller may list or watch that; raise Forbidden if not."""
        fields = parse_fields(kind, options.fields).exact
        self.permission.authorize_many(who, verb, kind, namespace, fields)

    def _page(self, chosen: Filter, options: ListOptions) -> Page:
        kind = chosen.kind
        at, after = self._position(options)
        found = self._found(chosen, at, after)
        if options.limit <= 0:
            return Page(_as_asked(kind, list(found)), at)
        items = _as_asked(kind, list(itertools.islice(found, options.limit)))
        if next(found, None) is None:
            return Page(items, at)
        remaining = None
        if chosen.by_prefix_only:
            remaining = self.cache.shelf(kind).count(chosen.prefix, items[-1].key)
        return Page(items, at, _continue_token(at, items[-1].key), remaining)

    def watch(
        self,
        who: User,
        kind: Kind,
        namespace: str,
        options: ListOptions,
        *,
        initial: bool = False,
        pace: Pace | None = None,
    ) -> CacheFeed:
        """Changes after options.revision; with none or "0" (or initial), first what is there. pace
        is asked before listeners are roused.

        Raises Expired, Timeout (a revision of the future) or BadRequest.
        """
        chosen = Filter(kind, namespace, options)
        self.permission.authorize_many(who, "watch", kind, namespace, chosen.fields.exact)
        since = None
        if not initial and options.revision not in ("", "0"):
            since = self._known(options.revision)
        plain = chosen.by_prefix_only and chosen.prefix == kind.prefix
        select: Callable[[Frame], Frame | None] | None = None if plain else chosen.frame
        if kind.hub is not None:
            select = _converting(kind, chosen.frame)
        return self.cache.watch(
            kind, since=since, prefix=chosen.prefix, select=select, term=chosen.term,
            company=Company((kind, chosen.prefix, options.labels, options.fields), pace),
        )  # fmt: skip

    def _authorize(self, who: User, verb: str, ref: Ref) -> None:
        self.permission.authorize(who, verb, ref.kind, ref.namespace, ref.name, ref.subresource)

    def _found(self, chosen: Filter, at: int, after: str) -> Iterator[Stored]:
        kind = chosen.kind
        if at == self.cache.revision:
            term = chosen.term
            if term is not None:
                under = self.cache.shelf(kind).found(term)
                candidates = iter(sorted((s for s in under if s.key > after), key=_key))
            else:
                candidates = self.cache.shelf(kind).range(chosen.prefix, after)
        else:
            candidates = self.cache.as_of(kind, at, chosen.prefix, after)
        return candidates if chosen.by_prefix_only else filter(chosen, candidates)

    def _position(self, options: ListOptions) -> tuple[int, str]:
        """The revision to list at, and the key to go on after."""
        match = options.revision_match
        if options.continue_:
            if options.revision not in ("", "0"):
                raise BadRequest("specifying resource version is not allowed when using continue")
            at, after = _parse_continue(options.continue_)
            if at > self.cache.revision:
                raise _too_new(at, self.cache.revision)
            # Below 0: the list goes on without its first pages' revision, in the present.
            return (self.cache.revision if at < 0 else at), after
        if options.revision in ("", "0"):
            return self.cache.revision, ""
        revision = self._known(options.revision)
        exact = match == "Exact" or (options.limit > 0 and match == "")
        return (revision if exact else self.cache.revision), ""

    def _known(self, text: str) -> int:
        revision = revision_of(text)
        if revision > self.cache.revision:
            raise _too_new(revision, self.cache.revision)
        return revision


async def reached(cache: Cache, clock: Clock, text: str, check: Callable[[], None]) -> None:
    """Wait a moment until the cache has come to a revision that a client knows of.

    text is a resourceVersion; none and "0" are always reached. check raises Forbidden for who may
    not read: nobody else shall wait here, or learn how far the cache is. Raises BadRequest if text
    is no number, Timeout if it is still in the future after 3 s, as upstream's watch cache does.
    """
    if text in ("", "0"):
        return
    revision = revision_of(text)
    if revision <= cache.revision:
        return
    check()
    until = clock.monotonic() + REACH_S
    while revision > cache.revision:
        if clock.monotonic() >= until:
            raise _too_new(revision, cache.revision)
        await clock.sleep(_LOOK_S)


REACH_S = 3.0
_LOOK_S = 0.05
_REVISION = re.compile(r"[0-9]{1,20}")


def revision_of(text: str) -> int:
    """Raises BadRequest for what is no unsigned 64-bit number."""
    if not _REVISION.fullmatch(text) or int(text) >= 2**64:
        shown = text if len(text) <= 64 else text[:64] + "..."
        raise BadRequest(f'resourceVersion: Invalid value: "{shown}": must be a whole number')
    return int(text)


def _too_new(revision: int, current: int) -> Timeout:
    # apiserver/pkg/storage NewTooLargeResourceVersionError, which clients know by its cause.
    return Timeout(
        f"Timeout: Too large resource version: {revision}, current: {current}",
        causes=[Cause("ResourceVersionTooLarge", "Too large resource version")],
        retry_after_s=1,
    )


def _as_asked(kind: Kind, found: list[Stored]) -> list[Stored]:
    return found if kind.hub is None else [as_version(kind, stored) for stored in found]


def _converting(
    kind: Kind, select: Callable[[Frame], Frame | None]
) -> Callable[[Frame], Frame | None]:
    def converted(frame: Frame) -> Frame | None:
        seen = select(frame)
        if seen is None:
            return None
        shown = frame_as_version(kind, seen)
        return None if kind in kinds.PEERS and _is_same(shown) else shown

    return converted


def _is_same(frame: Frame) -> bool:
    """Whether nothing that is shown changed."""
    return frame.type == "MODIFIED" and frame.before is not None and (
        frame.before.rest == frame.stored.rest
    )  # fmt: skip


def _key(stored: Stored) -> str:
    return stored.key


def _continue_token(revision: int, key: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps({"rv": revision, "start": key})).decode()


def inconsistent_continue(token: str) -> str:
    """A token with which an expired list goes on in the present."""
    _, after = _parse_continue(token)
    return _continue_token(-1, after)


def begun_at(token: str) -> str:
    """The resourceVersion that a list was begun at, "0" if it does not matter."""
    try:
        return str(max(_parse_continue(token)[0], 0))
    except BadRequest:  # which whoever lists is told, if they may
        return "0"


def _parse_continue(token: str) -> tuple[int, str]:
    try:
        parsed: Doc = orjson.loads(base64.urlsafe_b64decode(token))
        revision, start = parsed["rv"], parsed["start"]
    except (ValueError, binascii.Error, KeyError, TypeError):
        revision = start = None
    if type(revision) is not int or type(start) is not str:
        raise BadRequest("continue key is not valid")
    return revision, start


__all__ = [
    "Filter", "ListOptions", "Page", "Reader", "begun_at", "inconsistent_continue", "reached",
]  # fmt: skip
