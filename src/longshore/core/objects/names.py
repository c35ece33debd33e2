"""Which strings are good names, labels and ports, and what to say of those that are not.

Each function gives a list of sentences, empty if all is well. The sentences and the rules are
those of apimachinery/pkg/util/validation.
"""

from __future__ import annotations

import ipaddress
import re

from longshore.base.remembering import remembered

LABEL_MAX, SUBDOMAIN_MAX, PORT_NAME_MAX = 63, 253, 15

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_QUALIFIED})?"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"
_ENV = r"[-._a-zA-Z][-._a-zA-Z0-9]*"

_IS_LABEL = re.compile(_LABEL).fullmatch
_IS_LABEL_1035 = re.compile(_LABEL_1035).fullmatch
_IS_SUBDOMAIN = re.compile(_SUBDOMAIN).fullmatch
_IS_QUALIFIED = re.compile(_QUALIFIED).fullmatch
_IS_VALUE = re.compile(_VALUE).fullmatch
_IS_CONFIG_KEY = re.compile(_CONFIG_KEY).fullmatch

_LABEL_SENTENCE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character"
)
_SUBDOMAIN_SENTENCE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character"
)
_LABEL_1035_SENTENCE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character"
)
_QUALIFIED_SENTENCE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character"
)
_VALUE_SENTENCE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character"
)
_CONFIG_KEY_SENTENCE = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_ENV_SENTENCE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_WILDCARD_SENTENCE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
    "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
    "character"
)
_CACHED = 16_384


def too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def _pattern(sentence: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}'" for example in examples)
    shown = shown.replace("' or '", "',  or '") if len(examples) > 1 else shown
    return f"{sentence} (e.g. {shown}, regex used for validation is '{pattern}')"


@remembered(_CACHED)
def label_problems(text: str) -> tuple[str, ...]:
    """A DNS-1123 label: names of containers, volumes, namespaces."""
    found = [too_long(LABEL_MAX)] if len(text) > LABEL_MAX else []
    if not _IS_LABEL(text):
        found.append(_pattern(_LABEL_SENTENCE, _LABEL, "my-name", "123-abc"))
    return tuple(found)


@remembered(_CACHED)
def label_1035_problems(text: str) -> tuple[str, ...]:
    """A DNS-1035 label: names of Services."""
    found = [too_long(LABEL_MAX)] if len(text) > LABEL_MAX else []
    if not _IS_LABEL_1035(text):
        found.append(_pattern(_LABEL_1035_SENTENCE, _LABEL_1035, "my-name", "abc-123"))
    return tuple(found)


def subdomain_problems(text: str) -> tuple[str, ...]:
    """A DNS-1123 subdomain: names of most objects. Not cached: such names are mostly new."""
    if _IS_SUBDOMAIN(text) and len(text) <= SUBDOMAIN_MAX:
        return ()
    found = [too_long(SUBDOMAIN_MAX)] if len(text) > SUBDOMAIN_MAX else []
    if not _IS_SUBDOMAIN(text):
        found.append(_pattern(_SUBDOMAIN_SENTENCE, _SUBDOMAIN, "example.com"))
    return tuple(found)


def path_segment_problems(text: str) -> tuple[str, ...]:
    """What can stand between two slashes of a URL: names of roles and bindings."""
    if text in (".", ".."):
        return (f"may not be '{text}'",)
    return tuple(f"may not contain '{mark}'" for mark in "/%" if mark in text)


def wildcard_problems(text: str) -> tuple[str, ...]:
    """A DNS subdomain behind "*.": hosts of an Ingress."""
    found = [too_long(SUBDOMAIN_MAX)] if len(text) > SUBDOMAIN_MAX else []
    if not (text.startswith("*.") and _IS_SUBDOMAIN(text[2:])):
        found.append(_pattern(_WILDCARD_SENTENCE, rf"\*\.{_SUBDOMAIN}", "*.example.com"))
    return tuple(found)


@remembered(_CACHED)
def qualified_name_problems(text: str) -> tuple[str, ...]:
    """A label or annotation key, a finalizer: [PREFIX/]NAME."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        sentence = _pattern(_QUALIFIED_SENTENCE, _QUALIFIED, "MyName", "my.name", "123-abc")
        return (
            f"a qualified name {sentence} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')",
        )
    found: list[str] = []
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    elif slash:
        found += [f"prefix part {problem}" for problem in subdomain_problems(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > LABEL_MAX:
        found.append(f"name part {too_long(LABEL_MAX)}")
    if not _IS_QUALIFIED(name):
        found.append(
            "name part " + _pattern(_QUALIFIED_SENTENCE, _QUALIFIED, "MyName", "my.name", "123-abc")
        )
    return tuple(found)


@remembered(_CACHED)
def label_value_problems(text: str) -> tuple[str, ...]:
    found = [too_long(LABEL_MAX)] if len(text) > LABEL_MAX else []
    if not _IS_VALUE(text):
        found.append(_pattern(_VALUE_SENTENCE, _VALUE, "MyValue", "my_value", "12345"))
    return tuple(found)


@remembered(_CACHED)
def port_name_problems(text: str) -> tuple[str, ...]:
    """An IANA service name: names of container ports."""
    found = []
    if len(text) > PORT_NAME_MAX:
        found.append("must be no more than 15 characters")
    if not re.fullmatch(r"[-a-z0-9]*", text):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", text):
        found.append("must contain at least one letter (a-z)")
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return tuple(found)


@remembered(_CACHED)
def config_key_problems(text: str) -> tuple[str, ...]:
    """A key of a ConfigMap or Secret: it becomes a file name."""
    found = [too_long(SUBDOMAIN_MAX)] if len(text) > SUBDOMAIN_MAX else []
    if not _IS_CONFIG_KEY(text):
        found.append(
            _pattern(_CONFIG_KEY_SENTENCE, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name")
        )
    if text == ".":
        found.append("must not be '.'")
    elif text == "..":
        found.append("must not be '..'")
    elif text.startswith(".."):
        found.append("must not start with '..'")
    return tuple(found)


@remembered(_CACHED)
def env_name_problems(text: str) -> tuple[str, ...]:
    """The relaxed rule (on by default since 1.34): printable ASCII, no '='."""
    if not text or not all(" " <= c <= "~" and c != "=" for c in text):
        return (_ENV_SENTENCE,)
    return ()


@remembered(_CACHED)
def address_problems(text: str) -> tuple[str, ...]:
    """An IP address of either family."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
    return ()


def canonical_address_problems(text: str) -> tuple[str, ...]:
    """An IP address in the one form that it is written in."""
    wrong = address_problems(text)
    if wrong:
        return wrong
    canonical = str(ipaddress.ip_address(text))
    return () if text == canonical else (f'must be in canonical form ("{canonical}")',)


def cidr_problems(text: str) -> tuple[str, ...]:
    """A network of either family: ADDRESS/LENGTH, without bits beyond the length."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        interface = None
    if interface is None or "/" not in text or not text.rpartition("/")[2].isdigit():
        return ("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",)
    if interface.ip != interface.network.network_address:
        return ("must not have bits set beyond the prefix length",)
    return ()


@remembered(1024)
def is_extended_resource(name: str) -> bool:
    """A resource that a device plugin counts: it has a domain, and not Kubernetes' own (pkg/apis/core/helper:
    IsExtendedResourceName)."""
    domain, slash, _ = name.partition("/")
    return bool(slash) and not domain.endswith("kubernetes.io") and not name.startswith("requests.")
