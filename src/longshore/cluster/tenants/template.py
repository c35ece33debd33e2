"""From a template and the words of a request to the objects of a tenant. Pure.

A template is YAML of one Namespace and of what shall be in it. A string ${word} becomes that word's
value, also where it is a list; within a longer string it becomes text. Values are put in after the
YAML was read, so that none of them can change its shape.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longshore.base import quantities
from longshore.base.addresses import DNS_ADDRESS
from longshore.cluster.config import ClusterError
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import KINDS, Doc, Kind
from longshore.core.objects.names import label_problems
from longshore.core.registry.admission.namespaces import TENANT_LABEL
from longshore.doors.kubernetes.yamlbody import read_yaml

# In the order in which they are applied: what bounds a team is there before anybody may do anything.
ORDER: tuple[Kind, ...] = (
    kinds.NAMESPACE, kinds.RESOURCE_QUOTA, kinds.LIMIT_RANGE, kinds.NETWORK_POLICY,
    kinds.CONFIG_MAP, kinds.SERVICE_ACCOUNT, kinds.ROLE, kinds.ROLE_BINDING,
)  # fmt: skip
_RBAC = "rbac.authorization.k8s.io"
# Whom these name nobody can tell: to let them in is to let everybody in.
_EVERYBODY = {
    "system:anonymous", "group:system:authenticated", "group:system:unauthenticated",
    "group:system:serviceaccounts",
}  # fmt: skip
_WORD = re.compile(r"\$(?:(\$)|\{([^}]*)\})")
_DOCUMENT = re.compile(rb"^---(?=\s|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants of a tenant. cpu and memory are quantities that its containers may use
    together; admins are user names, or group:NAME; level is one of the Pod Security Standards."""

    tenant: str
    admins: tuple[str, ...] = ()
    cpu: str = "10"
    memory: str = "20Gi"
    pods: int = 50
    level: str = "baseline"


def rendered(request: Request, template: bytes) -> list[Doc]:
    """The objects of a tenant, in the order in which to apply them, its Namespace first. Raises
    ClusterError for a request or a template that cannot be meant."""
    _check(request)
    docs = [_filled(doc, _words(request)) for doc in _documents(template)]
    placed = [_placed(doc, request.tenant) for doc in docs]
    _check_set(placed, request.tenant)
    return sorted(placed, key=lambda doc: ORDER.index(kind_of(doc)))


def kind_of(doc: Doc) -> Kind:
    """The kind of an object of a template. Raises ClusterError if it has no place in one."""
    said = str(doc.get("apiVersion", "")), str(doc.get("kind", ""))
    kind = KINDS.named(*said)
    if kind is None or kind not in ORDER:
        raise ClusterError(
            f"template: {' '.join(said).strip() or 'an object without kind'} has no place in a tenant; "
            f"there may be {', '.join(kind.name for kind in ORDER)}"
        )
    return kind


# --- the request ---


def _check(request: Request) -> None:
    problems = list(label_problems(request.tenant))
    if request.tenant == "default" or request.tenant.startswith("kube-"):
        problems.append("the cluster itself uses this namespace")
    if problems:
        raise ClusterError(f'NAME: Invalid value: "{request.tenant}": {problems[0]}')
    for option, amount in (("--cpu", request.cpu), ("--memory", request.memory)):
        _check_quantity(option, amount)


def _check_quantity(option: str, amount: str) -> None:
    try:
        value = quantities.parse(amount)
    except ValueError as error:
        raise ClusterError(f'{option}: Invalid value: "{amount}": {error}') from None
    if value < 0:
        raise ClusterError(
            f'{option}: Invalid value: "{amount}": must be greater than or equal to 0'
        )


def _words(request: Request) -> dict[str, Any]:
    admins = [f"group:tenant:{request.tenant}:admins", *request.admins]
    return {
        "tenant": request.tenant, "level": request.level, "cpu": request.cpu,
        "memory": request.memory, "pods": str(request.pods), "dns": DNS_ADDRESS,
        "admins": [_subject(one) for one in dict.fromkeys(admins)],
    }  # fmt: skip


def _subject(who: str) -> Doc:
    kind, name = ("Group", who[6:]) if who.startswith("group:") else ("User", who)
    if not name or who in _EVERYBODY:
        why = "it names everybody" if name else "it names nobody"
        raise ClusterError(f'--admin: Invalid value: "{who}": {why}')
    return {"apiGroup": _RBAC, "kind": kind, "name": name}


# --- the template ---


def _documents(template: bytes) -> list[Doc]:
    try:
        read = [read_yaml(part) for part in _DOCUMENT.split(template)]
    except ApiError as error:
        raise ClusterError(f"template: {error}") from None
    docs = [doc for doc in read if doc is not None]
    if not all(isinstance(doc, dict) for doc in docs):
        raise ClusterError("template: each document has to be one object, with apiVersion and kind")
    return docs


def _filled(value: Any, words: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, words) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, words) for one in value]
    return _said(value, words) if isinstance(value, str) else value


def _said(text: str, words: Mapping[str, Any]) -> Any:
    def word(match: re.Match[str]) -> Any:
        if match[1]:
            return "$"
        if match[2] not in words:
            known = ", ".join(sorted(words))
            raise ClusterError(f"template: ${{{match[2]}}} is unknown; there are {known}")
        return words[match[2]]

    whole = _WORD.fullmatch(text)
    return word(whole) if whole else _WORD.sub(lambda match: str(word(match)), text)


def _placed(doc: Doc, tenant: str) -> Doc:
    """The object in the tenant's namespace; the Namespace marked as the tenant's."""
    kind, metadata = kind_of(doc), doc.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        raise ClusterError(f"template: {kind.name}: metadata.name: Required value")
    if kind is kinds.NAMESPACE:
        labels = metadata.get("labels") or {}
        if not isinstance(labels, dict):
            raise ClusterError("template: Namespace: metadata.labels: must be a map")
        return {**doc, "metadata": {**metadata, "labels": {**labels, TENANT_LABEL: tenant}}}
    if metadata.get("namespace", tenant) != tenant:
        raise ClusterError(
            f'template: {kind.name} "{name}": metadata.namespace: Invalid value: '
            f'"{metadata["namespace"]}": a tenant has one namespace, ${{tenant}}'
        )
    return {**doc, "metadata": {**metadata, "namespace": tenant}}


def _check_set(docs: Sequence[Doc], tenant: str) -> None:
    named = Counter((kind_of(doc).name, doc["metadata"]["name"]) for doc in docs)
    if [name for kind, name in named.elements() if kind == "Namespace"] != [tenant]:
        raise ClusterError("template: it has to have one Namespace, with the name ${tenant}")
    for (kind, name), count in named.items():
        if count > 1:
            raise ClusterError(f'template: {kind} "{name}" is there {count} times')
