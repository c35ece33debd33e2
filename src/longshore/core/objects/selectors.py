"""Label and field selectors: parsed once, compiled to a predicate.

Grammar of label selectors: apimachinery/pkg/labels (a=b, a==b, a!=b, a in (b, c), a notin (b), a,
!a, a>5, a<5, joined by commas). Field selectors know only =, == and !=, and only the fields that
their kind lists.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from longshore.base.remembering import LONGEST, remembered
from longshore.core.objects import names
from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import POD_PEER, REPLICATION_CONTROLLER, Doc, Kind

_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|>|<|[^\s=!,()<>]+)")
_DOC_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_NODE_OPERATORS = {**_DOC_OPERATORS, "Gt": "gt", "Lt": "lt"}
_CACHED = 1024
# Selectors of that many workloads, a few hundred bytes each: their loops ask at every look.
_OF_WORKLOADS = 4096


class Requirement(NamedTuple):
    """One term. operator: in, notin, exists, ! (does not exist), gt, lt. Values are sorted."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    @property
    def names_one(self) -> bool:
        """Whether the label must have one value."""
        return self.operator == "in" and len(self.values) == 1

    def matches(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.key)
        match self.operator:
            case "in":
                return found is not None and found in self.values
            case "notin":
                return found is None or found not in self.values
            case "exists":
                return found is not None
            case "!":
                return found is None
        number, bound = _integer(found), int(self.values[0])
        return number is not None and (number > bound if self.operator == "gt" else number < bound)

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"
            case "in" if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case "notin" if len(self.values) == 1:
                return f"{self.key}!={self.values[0]}"
        return f"{self.key} {self.operator} ({','.join(self.values)})"


class Selector:
    """Labels that are asked for: all requirements must hold; none means everything matches.

    exact holds the terms that name one value, which an index can answer."""

    __slots__ = ("_exact_items", "_others", "exact", "requirements")

    def __init__(self, requirements: Iterable[Requirement]) -> None:
        distinct = set(requirements)
        self.requirements = tuple(
            sorted(distinct, key=lambda r: (r.key, str(r))) if len(distinct) > 1 else distinct
        )
        self.exact = {r.key: r.values[0] for r in self.requirements if r.names_one}
        # The last of several for one key is in exact; the others, being contradictory, are asked.
        self._others = tuple(
            r for r in self.requirements if not r.names_one or self.exact[r.key] != r.values[0]
        )
        self._exact_items = tuple(self.exact.items())

    @property
    def everything(self) -> bool:
        return not self.requirements

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        labels = labels or {}
        for key, value in self._exact_items:
            if labels.get(key) != value:
                return False
        return all(one.matches(labels) for one in self._others)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and self.requirements == other.requirements

    def __hash__(self) -> int:
        return hash(self.requirements)


EVERYTHING = Selector(())


@remembered(_CACHED)
def parse_labels(text: str) -> Selector:
    """A selector as a query string has it. Raises BadRequest."""
    tokens = _tokens(text)
    requirements: list[Requirement] = []
    while tokens:
        requirements.append(_requirement(tokens, text))
        if tokens and (tokens.popleft() != "," or not tokens):
            raise _unparsable(text, "found trailing text, expected: ',' or end")
    return Selector(requirements)


def from_doc(doc: Doc | None) -> Selector | None:
    """A metav1.LabelSelector document. None (absent) selects nothing and gives None; an empty one
    selects everything. Raises BadRequest for operators and values that rules/ would refuse."""
    if doc is None:
        return None
    labels = doc.get("matchLabels") or {}
    if not doc.get("matchExpressions"):
        return _of_labels(tuple(labels.items()))
    requirements = [Requirement(key, "in", (value,)) for key, value in labels.items()]
    for one in doc["matchExpressions"]:
        operator = _DOC_OPERATORS.get(one.get("operator", ""))
        if operator is None:
            raise BadRequest(f"{one.get('operator', '')!r} is not a valid label selector operator")
        requirements.append(_checked(one.get("key", ""), operator, one.get("values") or ()))
    return Selector(requirements)


@lru_cache(maxsize=_OF_WORKLOADS)
def _of_labels(labels: tuple[tuple[str, str], ...]) -> Selector:
    return Selector(Requirement(key, "in", (value,)) for key, value in labels)


def from_map(labels: Mapping[str, str] | None) -> Selector | None:
    """A plain map, as spec.selector of a Service: all must be equal; absent or empty selects
    nothing and gives None."""
    return _of_labels(tuple(labels.items())) if labels else None


def node_requirement(one: Doc, key: str = "") -> Requirement:
    """A core/v1 NodeSelectorRequirement that rules/ let pass; asked of another key, if one is given."""
    operator = _NODE_OPERATORS[one["operator"]]
    return Requirement(key or one["key"], operator, tuple(one.get("values") or ()))


def of_workload(owner: Doc) -> Selector | None:
    """What a workload, or a budget, selects: of a ReplicationController a plain map, of all others
    a LabelSelector."""
    selector = owner["spec"].get("selector")
    return (
        from_map(selector)
        if owner.get("kind") == REPLICATION_CONTROLLER.name
        else from_doc(selector)
    )


def _tokens(text: str) -> deque[str]:
    tokens, at = deque[str](), 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None, "the token pattern covers every character"
        tokens.append(match[1])
        at = match.end()
    return tokens


def _requirement(tokens: deque[str], text: str) -> Requirement:
    token = tokens.popleft()
    if token == "!":
        return _checked(_word(tokens, text), "!", ())
    if _TOKEN.fullmatch(token) is None or not _is_word(token):
        raise _unparsable(text, f"found '{token}', expected: !, identifier, or 'end of string'")
    if not tokens or tokens[0] == ",":
        return _checked(token, "exists", ())
    operator = tokens.popleft()
    match operator:
        case "=" | "==":
            return _checked(token, "in", (_value(tokens, text),))
        case "!=":
            return _checked(token, "notin", (_value(tokens, text),))
        case "in" | "notin":
            return _checked(token, operator, _values(tokens, text))
        case ">" | "<":
            bound = _word(tokens, text)
            if _integer(bound) is None:
                raise _unparsable(
                    text, f"for 'Gt', 'Lt' operators, the value must be an integer, not {bound!r}"
                )
            return _checked(token, "gt" if operator == ">" else "lt", (bound,))
    raise _unparsable(text, f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")


def _checked(key: str, operator: str, values: Iterable[str]) -> Requirement:
    wrong = names.qualified_name_problems(key)
    if wrong:
        raise BadRequest(f'key: Invalid value: "{key}": {"; ".join(wrong)}')
    kept = tuple(sorted(set(values)))
    if operator in ("in", "notin") and not kept:
        raise BadRequest(
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
        )
    for value in kept:
        wrong = names.label_value_problems(value)
        if wrong:
            raise BadRequest(f'values[0][{key}]: Invalid value: "{value}": {"; ".join(wrong)}')
    return Requirement(key, operator, kept)


def _is_word(token: str) -> bool:
    return token not in ("==", "!=", "=", "!", ",", "(", ")", ">", "<")


def _word(tokens: deque[str], text: str) -> str:
    if not tokens or not _is_word(tokens[0]):
        raise _unparsable(text, f"found '{tokens[0] if tokens else ''}', expected: identifier")
    return tokens.popleft()


def _value(tokens: deque[str], text: str) -> str:
    """One value; an absent one is the empty string (a= asks for the empty label)."""
    return _word(tokens, text) if tokens and tokens[0] != "," else ""


def _values(tokens: deque[str], text: str) -> list[str]:
    if not tokens or tokens.popleft() != "(":
        raise _unparsable(text, "found '', expected: '('")
    values: list[str] = []
    expected_value = True
    while tokens:
        token = tokens.popleft()
        if token == ")":
            return [*values, ""] if expected_value and values else values or [""]
        if token == ",":
            if expected_value:
                values.append("")
            expected_value = True
        elif _is_word(token) and expected_value:
            values.append(token)
            expected_value = False
        else:
            break
    raise _unparsable(text, "found '', expected: ',' or ')'")


def _unparsable(text: str, why: str) -> BadRequest:
    return BadRequest(f"unable to parse requirement: {why} (selector {text!r})")


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[+-]?\d{1,18}", text) else None


# ---- field selectors


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term: path = value, or != if negated."""

    path: str
    value: str
    negated: bool

    def __str__(self) -> str:
        return f"{self.path}{'!=' if self.negated else '='}{self.value}"


class FieldSelector:
    """Fields that are asked for. exact holds the equality terms, which an index can answer."""

    __slots__ = ("_tests", "exact", "terms")

    def __init__(self, kind: Kind, terms: Iterable[FieldTerm]) -> None:
        self.terms = tuple(terms)
        self.exact: dict[str, str] = {t.path: t.value for t in self.terms if not t.negated}
        self._tests = tuple((_getter(kind, t.path), t.value, t.negated) for t in self.terms)

    @property
    def everything(self) -> bool:
        return not self.terms

    def matches(self, doc: Doc) -> bool:
        return all((get(doc) == value) is not negated for get, value, negated in self._tests)

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


def parse_fields(kind: Kind, text: str) -> FieldSelector:
    """A field selector as a query string has it. Raises BadRequest, also for fields that the kind
    does not list."""
    return _known_fields(kind, text) if len(text) <= LONGEST else _parsed_fields(kind, text)


@lru_cache(maxsize=_CACHED)
def _known_fields(kind: Kind, text: str) -> FieldSelector:
    return _parsed_fields(kind, text)


def _parsed_fields(kind: Kind, text: str) -> FieldSelector:
    terms = [_field_term(kind, part) for part in _split_unescaped(text) if part]
    return FieldSelector(kind, terms)


def supported_fields(kind: Kind) -> tuple[str, ...]:
    """The paths that a field selector may name for a kind."""
    common = ("metadata.name", "metadata.namespace") if kind.namespaced else ("metadata.name",)
    return common + tuple(_FIELDS.get(kind.schema, {}))


def field_value(kind: Kind, doc: Doc, path: str) -> str:
    """A selectable field of a document, as the string that selectors compare with."""
    return _getter(kind, path)(doc)


def _split_unescaped(text: str) -> list[str]:
    return re.split(r"(?<!\\),", text)


def _field_term(kind: Kind, part: str) -> FieldTerm:
    match = re.match(r"([^=!]*)(!=|==|=)(.*)", part, re.DOTALL)
    if match is None:
        raise BadRequest(f"invalid selector: '{part}'; can't understand '{part}'")
    path, operator, value = match[1].strip(), match[2], match[3]
    if path not in supported_fields(kind):
        raise BadRequest(
            f'Unable to find "{kind.group}/{kind.version}, Resource={kind.plural}" that match label '
            f'selector "", field selector "{part}": field label not supported: {path}'
        )
    return FieldTerm(path, re.sub(r"\\([,=\\])", r"\1", value), operator == "!=")


_Getter = Callable[[Doc], str]


def _text(value: Any) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return "" if value is None else str(value)


@lru_cache(maxsize=_CACHED)
def _getter(kind: Kind, path: str) -> _Getter:
    if path == "metadata.name":
        return lambda doc: str(doc["metadata"].get("name", ""))
    if path == "metadata.namespace":
        return lambda doc: str(doc["metadata"].get("namespace", ""))
    absent = _FIELDS[kind.schema][path]
    if path == "source" and kind.name == "Event":
        return lambda doc: (
            (doc.get("source") or {}).get("component") or doc.get("reportingComponent", "")
        )
    parent, _, last = _RENAMED.get((kind.name, path), path).rpartition(".")
    if not parent:
        return lambda doc: _text(doc.get(last, absent))
    assert "." not in parent, "selectable fields are at most two deep"
    return lambda doc: _text((doc.get(parent) or {}).get(last, absent))


# Per kind: path, and what an absent field compares as.
# Source: pkg/apis/*/v1/conversion.go, AddFieldLabelConversionsFor...
_FIELDS: dict[str, dict[str, Any]] = {
    "io.k8s.api.core.v1.Pod": {
        "spec.nodeName": "", "spec.restartPolicy": "", "spec.schedulerName": "",
        "spec.serviceAccountName": "", "spec.hostNetwork": False, "status.phase": "",
        "status.podIP": "", "status.nominatedNodeName": "",
    },
    POD_PEER.schema: {"spec.nodeName": ""},
    "io.k8s.api.core.v1.Node": {"spec.unschedulable": False},
    "io.k8s.api.core.v1.Namespace": {"status.phase": ""},
    "io.k8s.api.core.v1.Secret": {"type": ""},
    "io.k8s.api.core.v1.Service": {"spec.clusterIP": "", "spec.type": ""},
    "io.k8s.api.core.v1.Event": {
        "involvedObject.kind": "", "involvedObject.namespace": "", "involvedObject.name": "",
        "involvedObject.uid": "", "involvedObject.apiVersion": "",
        "involvedObject.resourceVersion": "", "involvedObject.fieldPath": "", "reason": "",
        "reportingComponent": "", "source": "", "type": "",
    },
    "io.k8s.api.apps.v1.ReplicaSet": {"status.replicas": 0},
    "io.k8s.api.core.v1.ReplicationController": {"status.replicas": 0},
    "io.k8s.api.batch.v1.Job": {"status.successful": 0},
    "io.k8s.api.resource.v1.ResourceSlice": {"spec.nodeName": "", "spec.driver": ""},
}  # fmt: skip
# Where the name of a selectable field is not that of the field.
_RENAMED = {("Job", "status.successful"): "status.succeeded"}
