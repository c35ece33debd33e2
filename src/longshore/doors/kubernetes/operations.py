"""The operations of the API, path by path: names, parameters, bodies and answers. Pure.

All of that is as in upstream's api/openapi-spec, so that clients which are made from either
document are the same; parameters that have no effect here are left out. openapi.py writes it down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from longshore.core.objects.kinds import Kind
from longshore.doors.kubernetes.deleting import RETURNED
from longshore.doors.kubernetes.discovery import below
from longshore.doors.kubernetes.translate import PATCH_TYPES

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
JSON, YAML, WATCH, TEXT, ANY = (
    "application/json", "application/yaml", "application/json;stream=watch", "text/plain", "*/*",
)  # fmt: skip
_LISTING = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit",
    "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
)  # fmt: skip
_WRITING = ("dryRun", "fieldManager", "fieldValidation")
_DELETING = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_TALKING = ("container", "stderr", "stdin", "stdout", "tty")
_CHOOSING = tuple(name for name in _LISTING if name not in ("allowWatchBookmarks", "watch"))
_CONNECTED = {
    "attach": _TALKING, "exec": ("command", *_TALKING), "portforward": ("ports",), "proxy": ("path",),
}  # fmt: skip
"""Subresources that lead to a container or a backend, and what is said in their query."""
_LOG = ("container", "follow", "limitBytes", "previous", "sinceSeconds", "tailLines", "timestamps")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. about is (group, version, kind) where it is about one; body and
    answer are the names of schemas, no answer's means text. text is one line for the reader."""

    method: str
    name: str
    text: str
    tag: str
    action: str = ""
    about: tuple[str, str, str] | None = None
    query: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ("200", "401")
    answer: str = ""
    answered_in: tuple[str, ...] = (JSON, YAML)
    body: str = ""
    body_in: tuple[str, ...] = (ANY,)
    body_required: bool = True


@dataclass(frozen=True, slots=True)
class Way:
    """A path, what stands for something in it, and what can be done there."""

    path: str
    variables: tuple[str, ...]
    operations: tuple[Operation, ...]


# --- of kinds ---


def ways(kind: Kind) -> Iterator[Way]:
    """Every path of a kind."""
    make = _Maker(kind)
    collection = f"{_inside(kind)}/{kind.plural}"
    one = f"{collection}/{{name}}"
    around = ("namespace",) if kind.namespaced else ()
    if kind.namespaced and "list" in kind.verbs:
        yield Way(f"{root(kind)}/{kind.plural}", (), (make.list_everywhere(),))
    yield Way(collection, around, make.collection())
    if "get" in kind.verbs:
        yield Way(one, ("name", *around), make.item())
    for subresource in kind.subresources:
        path = f"{one}/{subresource}"
        operations = make.below(subresource)
        yield Way(path, ("name", *around), operations)
        if subresource == "proxy":
            further = tuple(replace(o, name=f"{o.name}WithPath") for o in operations)
            yield Way(f"{path}/{{path}}", ("name", *around, "path"), further)


def root(kind: Kind) -> str:
    return f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"


def _inside(kind: Kind) -> str:
    return f"{root(kind)}/namespaces/{{namespace}}" if kind.namespaced else root(kind)


class _Maker:
    """Makes the operations of one kind."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._own = (kind.group, kind.version, kind.name)
        self._called = _called(kind.group)
        self._tag = f"{self._called[:1].lower()}{self._called[1:]}_{kind.version}"

    def list_everywhere(self) -> Operation:
        name = f"list{self._version}{self._kind.name}ForAllNamespaces"
        return replace(self._list(), name=name)

    def collection(self) -> tuple[Operation, ...]:
        made = {
            "list": self._list(),
            "create": self._create("", self._kind.schema, self._own),
            "deletecollection": self._delete_collection(),
        }
        return tuple(one for verb, one in made.items() if verb in self._kind.verbs)

    def item(self) -> tuple[Operation, ...]:
        made = {**self._object("", self._kind.schema, self._own), "delete": self._delete()}
        return tuple(one for verb, one in made.items() if verb in self._kind.verbs)

    def below(self, subresource: str) -> tuple[Operation, ...]:
        """The operations of a subresource."""
        about, verbs = below(self._kind, subresource)
        own = about or self._own
        if subresource in _CONNECTED:
            methods = ["get", "post", *(_PROXIED if subresource == "proxy" else ())]
            return tuple(self._connect(method, subresource, own) for method in methods)
        if subresource == "log":
            return (self._log(),)
        schema = self._kind.schema if about is None else _spoken(about)
        made = self._object(subresource, schema, own)
        made["create"] = self._create(subresource, schema, own)
        return tuple(one for verb, one in made.items() if verb in verbs)

    @property
    def _version(self) -> str:
        return self._called + self._kind.version.capitalize()

    def _name(self, word: str, subresource: str = "", middle: str = "") -> str:
        """What an operation is called: word, group, version, middle, scope, kind, subresource."""
        scope = "Namespaced" if self._kind.namespaced else ""
        tail = f"{scope}{self._kind.name}{subresource.capitalize()}"
        return f"{word}{self._version}{middle}{tail}"

    def _list(self) -> Operation:
        return Operation(
            "get", self._name("list"), f"{self._kind.name}: list, or watch", self._tag, "list",
            self._own, (*_LISTING, "pretty"), answer=f"{self._kind.schema}List",
            answered_in=(JSON, WATCH, YAML),
        )  # fmt: skip

    def _create(self, subresource: str, schema: str, about: tuple[str, str, str]) -> Operation:
        return Operation(
            "post", self._name("create", subresource), self._text("create", subresource), self._tag,
            "post", about, (*_WRITING, "pretty"), ("200", "201", "202", "401"), schema, body=schema,
        )  # fmt: skip

    def _delete_collection(self) -> Operation:
        query = tuple(sorted({*_CHOOSING, *_DELETING, "pretty"}))
        return Operation(
            "delete", self._name("delete", middle="Collection"),
            self._text("delete those that are chosen"), self._tag, "deletecollection", self._own,
            query, answer=f"{_META}Status", body=f"{_META}DeleteOptions", body_required=False,
        )  # fmt: skip

    def _delete(self) -> Operation:
        answer = self._kind.schema if self._kind.kept_as in RETURNED else f"{_META}Status"
        return Operation(
            "delete", self._name("delete"), self._text("delete"), self._tag, "delete", self._own,
            (*_DELETING, "pretty"), ("200", "202", "401"), answer,
            body=f"{_META}DeleteOptions", body_required=False,
        )  # fmt: skip

    def _object(
        self, subresource: str, schema: str, about: tuple[str, str, str]
    ) -> dict[str, Operation]:
        """Reading and writing of one object, or of a part of it, by verb."""
        read = Operation(
            "get", self._name("read", subresource), self._text("read", subresource), self._tag,
            "get", about, ("pretty",), answer=schema,
        )  # fmt: skip
        put = Operation(
            "put", self._name("replace", subresource), self._text("replace", subresource), self._tag,
            "put", about, (*_WRITING, "pretty"), ("200", "201", "401"), schema, body=schema,
        )  # fmt: skip
        patch = replace(
            put, method="patch", name=self._name("patch", subresource), action="patch",
            text=self._text("change", subresource), query=(*_WRITING, "force", "pretty"),
            body=f"{_META}Patch", body_in=PATCH_TYPES,
        )  # fmt: skip
        return {"get": read, "update": put, "patch": patch}

    def _connect(self, method: str, subresource: str, about: tuple[str, str, str]) -> Operation:
        return Operation(
            method, self._name("connect", subresource, method.capitalize()),
            self._text("connect to", subresource), self._tag, "connect", about,
            _CONNECTED[subresource], answered_in=(ANY,),
        )  # fmt: skip

    def _log(self) -> Operation:
        return Operation(
            "get", self._name("read", "log"), self._text("read", "log"), self._tag, "get", self._own,
            (*_LOG, "pretty"), answered_in=(TEXT,),
        )  # fmt: skip

    def _text(self, word: str, subresource: str = "") -> str:
        return f"{self._kind.name}: {word} {subresource}".rstrip()


_PROXIED = ("put", "patch", "delete", "head", "options")


def _spoken(about: tuple[str, str, str]) -> str:
    """The schema of what a subresource takes, which is a kind of another name."""
    group, version, name = about
    return f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}.{name}"


def _called(group: str) -> str:
    """A group in the names of operations: Core, Apps, RbacAuthorization."""
    words = (group.removesuffix(".k8s.io") or "core").split(".")
    return "".join(word.capitalize() for word in words)


# --- of documents ---


def group_way(group: str) -> Way:
    """/apis/GROUP/, or /api/ of the core's."""
    called = _called(group)
    tag = called[:1].lower() + called[1:]
    if group:
        return _document(f"/apis/{group}/", f"get{called}APIGroup", tag, "APIGroup")
    return _document("/api/", "getCoreAPIVersions", tag, "APIVersions")


def version_way(group: str, version: str) -> Way:
    """/apis/GROUP/VERSION/, /api/v1/"""
    called = _called(group)
    path = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    tag = f"{called[:1].lower()}{called[1:]}_{version}"
    name = f"get{called}{version.capitalize()}APIResources"
    return _document(path, name, tag, "APIResourceList")


def _document(path: str, name: str, tag: str, schema: str) -> Way:
    answer = schema if "." in schema else _META + schema
    return Way(path, (), (Operation("get", name, f"{path}: read", tag, answer=answer),))


def _text_document(path: str, name: str, tag: str, media: str = JSON) -> Way:
    return Way(path, (), (Operation("get", name, f"{path}: read", tag, answered_in=(media,)),))


DOCUMENTS = {
    "apis": _document("/apis/", "getAPIVersions", "apis", "APIGroupList"),
    "version": _document(
        "/version/", "getCodeVersion", "version", "io.k8s.apimachinery.pkg.version.Info"
    ),
    ".well-known/openid-configuration": _text_document(
        "/.well-known/openid-configuration/", "getServiceAccountIssuerOpenIDConfiguration", "WellKnown",
    ),
    "openid/v1/jwks": _text_document(
        "/openid/v1/jwks/", "getServiceAccountIssuerOpenIDKeyset", "openid", "application/jwk-set+json",
    ),
}  # fmt: skip
"""What is served besides groups and their kinds, by the names of the documents about it."""
