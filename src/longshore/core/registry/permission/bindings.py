"""Which roles each user and group is bound to: an index of the cache, kept true by its changes."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.base.users import User, account_user
from longshore.core.objects.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE,
    ROLE_BINDING,
    Doc,
    Kind,
)
from longshore.core.registry.permission.roles import Held, Holdings, Role
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored

Subject = tuple[str, str]
"""User or Group, and the name."""
ROLES, BINDINGS = (ROLE, CLUSTER_ROLE), (ROLE_BINDING, CLUSTER_ROLE_BINDING)


class Bindings:
    """Read from the cache at the first question, so that a server starts without it."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        # What binds a subject: by the binding's key, its namespace and the role's key.
        self._by_subject: dict[Subject, dict[str, tuple[str, str]]] | None = None
        self._roles: dict[str, Role] = {}

    def applied(self, frame: Frame) -> None:
        """A role or a binding changed."""
        if frame.kind in ROLES:
            self._roles.pop(frame.stored.key, None)
        elif self._by_subject is not None:
            if frame.before is not None:
                self._drop(frame.before)
            if frame.type != "DELETED":
                self._add(frame.stored, frame.doc)

    def held_by(self, who: User) -> Holdings:
        """What is bound to the user or to one of their groups. Bindings of roles that do not
        exist grant nothing."""
        return Holdings(self._held(who))

    def _held(self, who: User) -> Iterator[Held]:
        index = self._index()
        subjects = [("User", who.name), *(("Group", group) for group in dict.fromkeys(who.groups))]
        # A binding that names a user in two ways binds them once.
        bound = {key: at for subject in subjects for key, at in index.get(subject, {}).items()}
        for binding, (namespace, role_key) in bound.items():
            role = self._role(role_key)
            if role is not None:
                yield Held(namespace, role, binding)

    def role(self, binding: Doc) -> Role | None:
        """The role that a binding means, if it exists."""
        return self._role(_role_key(binding))

    def _role(self, key: str) -> Role | None:
        role = self._roles.get(key)
        if role is None:
            kind: Kind = CLUSTER_ROLE if key.startswith(CLUSTER_ROLE.prefix) else ROLE
            stored = self._cache.shelf(kind).get(key)
            if stored is None:
                return None
            role = self._roles[key] = Role(stored.doc.get("rules") or ())
        return role

    def _index(self) -> dict[Subject, dict[str, tuple[str, str]]]:
        if self._by_subject is None:
            self._by_subject = {}
            for kind in BINDINGS:
                for stored in self._cache.shelf(kind).range(kind.prefix):
                    self._add(stored, stored.fresh())
        return self._by_subject

    def _add(self, stored: Stored, doc: Doc) -> None:
        index = self._by_subject
        assert index is not None
        for subject in subjects_of(doc):
            index.setdefault(subject, {})[stored.key] = stored.namespace, _role_key(doc)

    def _drop(self, stored: Stored) -> None:
        index = self._by_subject
        assert index is not None
        for subject in subjects_of(stored.doc):
            bound = index.get(subject, {})
            bound.pop(stored.key, None)
            if not bound:
                index.pop(subject, None)


def subjects_of(binding: Doc) -> Iterator[Subject]:
    """Whom it binds; a ServiceAccount without a namespace is one of the binding's own."""
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind", ""), subject.get("name", "")
        if kind == "ServiceAccount":
            namespace = subject.get("namespace") or binding["metadata"].get("namespace", "")
            if namespace:
                yield "User", account_user(namespace, name)
        else:
            yield kind, name


def _role_key(binding: Doc) -> str:
    ref = binding["roleRef"]
    if ref["kind"] == CLUSTER_ROLE.name:
        return CLUSTER_ROLE.key("", ref["name"])
    return ROLE.key(binding["metadata"].get("namespace", ""), ref["name"])
