"""Rules for Ingresses and IngressClasses (pkg/apis/networking/validation)."""

from __future__ import annotations

import re

from longshore.core.objects import kinds, names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.containers import port_number
from longshore.core.objects.rules.problems import METADATA, SPEC, Path, Problems, Rule, UpdateRule

_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDS = ("/..", "/.")
_CONTROLLER_MAX = 250
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_SCOPES = ("Cluster", "Namespace")


def ingress(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    if not spec.get("rules") and "defaultBackend" not in spec:
        problems.invalid(SPEC, None, "either `defaultBackend` or `rules` must be specified")
    if "defaultBackend" in spec:
        _backend(spec["defaultBackend"], (SPEC, "defaultBackend"), problems)
    for index, one in enumerate(spec.get("rules", ())):
        _rule(one, ((SPEC, "rules"), index), problems)
    for index, one in enumerate(spec.get("tls", ())):
        _tls(one, ((SPEC, "tls"), index), problems)
    if "ingressClassName" in spec:
        name = spec["ingressClassName"]
        problems.all_invalid((SPEC, "ingressClassName"), name, names.subdomain_problems(name))
        _class_annotation(doc["metadata"].get("annotations", {}), name, problems)


def _class_annotation(annotations: Doc, name: str, problems: Problems) -> None:
    given = annotations.get(_CLASS_ANNOTATION, name)
    if given != name:
        why = "must match `ingressClassName` when both are specified"
        problems.invalid(((METADATA, "annotations"), _CLASS_ANNOTATION), given, why)


def _rule(one: Doc, path: Path, problems: Problems) -> None:
    host = one.get("host", "")
    if host:
        if not names.address_problems(host):
            problems.invalid((path, "host"), host, "must be a DNS name, not an IP address")
        _host(host, (path, "host"), problems)
    if "http" not in one:
        return
    paths, at = one["http"].get("paths", []), ((path, "http"), "paths")
    if not paths:
        problems.required(at)
    for index, item in enumerate(paths):
        _http_path(item, (at, index), problems)


def _host(host: str, path: Path, problems: Problems) -> None:
    wrong = names.wildcard_problems if "*" in host else names.subdomain_problems
    problems.all_invalid(path, host, wrong(host))


def _http_path(item: Doc, path: Path, problems: Problems) -> None:
    kind, text = item.get("pathType"), item.get("path", "")
    if kind is None:
        problems.required((path, "pathType"), "pathType must be specified")
        return
    if kind not in _PATH_TYPES:
        problems.unsupported((path, "pathType"), kind, _PATH_TYPES)
    elif not text.startswith("/") and (text or kind != "ImplementationSpecific"):
        problems.invalid((path, "path"), text, "must be an absolute path")
    if kind in ("Exact", "Prefix"):
        for part in _BAD_SEQUENCES:
            if part in text:
                problems.invalid((path, "path"), text, f"must not contain '{part}'")
        for end in _BAD_ENDS:
            if text.endswith(end):
                problems.invalid((path, "path"), text, f"cannot end with '{end}'")
    _backend(item.get("backend", {}), (path, "backend"), problems)


def _backend(backend: Doc, path: Path, problems: Problems) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        problems.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        _reference(resource, (path, "resource"), problems)
    elif service is not None:
        _service(service, path, problems)
    else:
        problems.invalid(path, "", "resource or service backend is required")


def _service(service: Doc, path: Path, problems: Problems) -> None:
    at = (path, "service")
    problems.label((at, "name"), service.get("name", ""))
    port = service.get("port", {})
    name, number = port.get("name"), port.get("number")
    if name and number:
        problems.invalid(path, "", "cannot set both port name & port number")
    elif name:
        problems.all_invalid(((at, "port"), "name"), name, names.port_name_problems(name))
    elif number:
        port_number(number, ((at, "port"), "number"), problems)
    else:
        problems.required(path, "port name or number is required")


def _reference(one: Doc, path: Path, problems: Problems) -> None:
    if "apiGroup" in one:
        group = one["apiGroup"]
        problems.all_invalid((path, "apiGroup"), group, names.subdomain_problems(group))
    for field in ("kind", "name"):
        path_segment(one.get(field, ""), (path, field), problems)


def path_segment(value: str, path: Path, problems: Problems) -> None:
    """A name that must be there and be fit for a URL."""
    if not value:
        problems.required(path)
    else:
        problems.all_invalid(path, value, names.path_segment_problems(value))


def _tls(one: Doc, path: Path, problems: Problems) -> None:
    for index, host in enumerate(one.get("hosts", ())):
        _host(host, ((path, "hosts"), index), problems)
    secret = one.get("secretName")
    if secret:
        problems.all_invalid((path, "secretName"), secret, names.subdomain_problems(secret))


# ---- classes


def ingress_class(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    controller, at = spec.get("controller", ""), (SPEC, "controller")
    if len(controller) > _CONTROLLER_MAX:
        problems.too_long(at, _CONTROLLER_MAX)
    _prefixed_path(controller, at, problems)
    parameters = spec.get("parameters")
    if parameters is not None:
        _reference(parameters, (SPEC, "parameters"), problems)
        _scope(parameters, (SPEC, "parameters"), problems)


def ingress_class_update(new: Doc, old: Doc, problems: Problems) -> None:
    given, had = (doc.get("spec", {}).get("controller") for doc in (new, old))
    problems.unchanged((SPEC, "controller"), given, had)


def _prefixed_path(text: str, path: Path, problems: Problems) -> None:
    """DOMAIN/PATH (apimachinery/pkg/util/validation: IsDomainPrefixedPath)."""
    if not text:
        problems.required(path)
        return
    domain, _, rest = text.partition("/")
    if not domain or not rest:
        problems.invalid(path, text, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    problems.all_invalid(path, domain, names.subdomain_problems(domain))
    if not re.fullmatch(_HTTP_PATH, rest):
        why = f"Invalid path (regex used for validation is '{_HTTP_PATH}')"
        problems.invalid(path, rest, why)


def _scope(parameters: Doc, path: Path, problems: Problems) -> None:
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    at = (path, "namespace")
    if scope is None:
        problems.required((path, "scope"))
    elif scope not in _SCOPES:
        problems.unsupported((path, "scope"), scope, _SCOPES)
    elif scope == "Cluster" and namespace is not None:
        problems.forbidden(at, "`parameters.scope` is set to 'Cluster'")
    elif scope == "Namespace" and namespace is None:
        problems.required(at, "`parameters.scope` is set to 'Namespace'")
    elif scope == "Namespace":
        problems.all_invalid(at, namespace, names.label_problems(namespace or ""))


RULES: dict[str, Rule] = {
    kinds.INGRESS.schema: ingress,
    kinds.INGRESS_CLASS.schema: ingress_class,
}
UPDATE_RULES: dict[str, UpdateRule] = {kinds.INGRESS_CLASS.schema: ingress_class_update}
