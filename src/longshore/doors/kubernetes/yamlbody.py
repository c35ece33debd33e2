"""YAML bodies as the JSON that they stand for, within bounds. Pure."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import orjson

from longshore.base.limits import DOCUMENT_DEPTH_MAX
from longshore.core.objects.errors import BadRequest

# Numbers as clients' YAML has them: none on base 60 ("22:30" is text), and 1e3 is one.
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?$")
_NOT_JSON = ("timestamp", "int", "float")


def read_yaml(body: bytes) -> Any:
    """One document. Raises BadRequest, also for what JSON does not have, for aliases (they could
    stand for gigabytes) and for nesting that would exhaust the parser's stack."""
    import yaml

    try:
        _check_events(yaml.parse(body, yaml.CSafeLoader))
        value = yaml.load(body, _loader())
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise BadRequest(f"the body is not valid YAML: {error}") from None


def _check_events(events: Any) -> None:
    import yaml

    depth = 0
    for event in events:
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
