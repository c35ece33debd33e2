"""YAML bodies as the JSON that they stand for, within bounds. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson

from longshore.base.limits import DOCUMENT_DEPTH_MAX, YAML_PARTS_MAX
from longshore.core.objects.errors import BadRequest, TooLarge

# Numbers as clients' YAML has them: none on base 60 ("22:30" is text), and 1e3 is one.
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?$")
_AS_JSON = orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS
_NOT_JSON = ("timestamp", "int", "float")


def read_yaml(body: bytes) -> Any:
    """One document. Raises BadRequest, also for what JSON does not have, for aliases (they could
    stand for gigabytes) and for nesting that would exhaust the parser's stack; TooLarge for so many
    parts that reading them would take seconds."""
    import yaml

    try:
        _check_events(yaml.parse(body, yaml.CSafeLoader))
        value = yaml.load(body, _loader())
        # Sorted, as clients know unknown fields of YAML to be listed.
        return orjson.loads(orjson.dumps(value, option=_AS_JSON))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise BadRequest(f"the body is not valid YAML: {error}") from None


def read_documents(text: str) -> Iterator[Any]:
    """All documents of a text that is one's own, unbounded and with aliases. Raises BadRequest."""
    import yaml

    try:
        for value in yaml.load_all(text, _loader()):
            yield orjson.loads(orjson.dumps(value, option=_AS_JSON))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise BadRequest(str(error)) from None


def doubled_keys(body: bytes) -> list[str]:
    """Keys that a text, which read_yaml took, gives twice; sentences such as
    'line 3: key "a" already set in map', the form of go.yaml.in/yaml."""
    import yaml

    found: list[str] = []
    _scan(yaml.compose(body, _loader()), found)
    return found


def _scan(node: Any, found: list[str]) -> None:
    if node.id == "sequence":
        for one in node.value:
            _scan(one, found)
    elif node.id == "mapping":
        _scan_mapping(node.value, found)


def _scan_mapping(pairs: list[tuple[Any, Any]], found: list[str]) -> None:
    seen: set[tuple[str, str]] = set()
    for key, value in pairs:
        _scan(value, found)
        name = (key.tag, str(key.value))
        if name in seen:
            shown = f'"{key.value}"' if key.tag.endswith(":str") else key.value
            found.append(f"line {value.start_mark.line + 1}: key {shown} already set in map")
        seen.add(name)


def _check_events(events: Any) -> None:
    import yaml

    depth = 0
    for count, event in enumerate(events):
        if count > YAML_PARTS_MAX:
            raise TooLarge(
                f"Request entity too large: the body has more than {YAML_PARTS_MAX} keys and values "
                "in YAML; as JSON it is read"
            )
        if isinstance(event, yaml.AliasEvent):
            raise BadRequest("YAML aliases are not served")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DOCUMENT_DEPTH_MAX:
                raise too_deep()
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def too_deep() -> BadRequest:
    return BadRequest(f"the body is nested more than {DOCUMENT_DEPTH_MAX} levels deep")


@cache
def _loader() -> Any:
    import yaml

    class JsonTypes(yaml.CSafeLoader):
        """Of YAML's types those that JSON has."""

        yaml_implicit_resolvers = {  # noqa: RUF012  the shape that PyYAML prescribes
            first: [(tag, form) for tag, form in rules if tag.rpartition(":")[2] not in _NOT_JSON]
            for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
        }

    first = list("-+.0123456789")
    JsonTypes.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, first)
    JsonTypes.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, first)
    return JsonTypes
