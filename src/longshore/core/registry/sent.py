"""What a client sends, checked as far as it can be without what is stored; and how it wants it to be
taken."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.conversion import to_hub
from longshore.core.objects.errors import BadRequest, Cause, Invalid
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.validation import PROBLEMS_MAX, check, decoding_error, strict_error

_NOTHING: Doc = {}


class WriteOptions(NamedTuple):
    """field_validation is Strict, Warn or Ignore, as the query parameter fieldValidation has it.
    manager is who is recorded as the owner of what is written, forced says that an apply takes
    from others what it sets. who asks (None: a writer without a name) is for admission, and for
    objects that say so themselves."""

    dry_run: bool = False
    field_validation: str = "Ignore"
    manager: str = ""
    forced: bool = False
    who: User | None = None

    def by(self, who: User) -> WriteOptions:
        return WriteOptions(self.dry_run, self.field_validation, self.manager, self.forced, who)


PLAIN = WriteOptions()


@lru_cache(maxsize=1024)
def of_loop(who: User) -> WriteOptions:
    """Those of a writer inside the server, recorded under the last part of its user's name."""
    return WriteOptions(manager=who.name.rpartition(":")[2], who=who)


def expect_type(kind: Kind, doc: Doc) -> None:
    """Complete apiVersion and kind, in place. Raises BadRequest for those of another kind."""
    got = doc.get("apiVersion") or kind.api_version, doc.get("kind") or kind.name
    if got != (kind.api_version, kind.name):
        raise BadRequest(
            f"the object provided is {got[1]} of {got[0]}, but this address takes {kind.name} of {kind.api_version}"
        )
    doc["apiVersion"], doc["kind"] = got


def metadata_of(kind: Kind, doc: Doc, namespace: str) -> Doc:
    """The metadata, with the namespace that was asked for. Raises BadRequest."""
    metadata = doc.get("metadata")
    if metadata is None:
        metadata = doc["metadata"] = {}
    if not isinstance(metadata, dict):
        raise BadRequest("metadata: expected an object")
    if not kind.namespaced:
        if metadata.pop("namespace", ""):
            raise BadRequest(f"namespace: {kind.plural} are not in a namespace, leave it out")
    elif metadata.setdefault("namespace", namespace) != namespace:
        raise BadRequest(
            f"the namespace of the provided object does not match the namespace sent on the request "
            f"({metadata['namespace']} is not {namespace})"
        )
    return metadata


def checked(
    kind: Kind, doc: Doc, options: WriteOptions, known: Doc = _NOTHING
) -> tuple[Doc, list[str]]:
    """The document as its kind is kept, without unknown fields, and warnings of them; known is as of
    check(). Raises Undecodable for wrong types, and for unknown fields where validation is strict."""
    checked = check(kind, doc, known)
    if checked.causes:
        raise decoding_error(kind, checked)
    if checked.unknown and options.field_validation == "Strict":
        raise strict_error(kind, doc, checked.unknown)
    doc = checked.doc if kind.hub is None else to_hub(kind, checked.doc)
    return doc, checked.unknown[:PROBLEMS_MAX] if options.field_validation == "Warn" else []


def checked_scale(doc: Doc, options: WriteOptions) -> tuple[Doc, list[str]]:
    """A Scale that an object can be given, and warnings. Raises Undecodable, Invalid."""
    expect_type(kinds.SCALE, doc)
    doc, warnings = checked(kinds.SCALE, doc, options)
    check_replicas(doc)
    return doc, warnings


def check_replicas(scale: Doc) -> None:
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        cause = Cause("FieldValueInvalid", why, "spec.replicas")
        raise Invalid.of(kinds.SCALE, (scale.get("metadata") or {}).get("name", ""), [cause])
