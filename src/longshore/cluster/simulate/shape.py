"""What a cluster looks like: pools of nodes that are alike, from a YAML file. Pure but for reading it.

    pools:
    - name: general
      count: 60
      cpu: "16"
      memory: 64Gi
      pods: 110
      zones: [a, b, c]
    - name: gpu
      count: 4
      cpu: "64"
      memory: 512Gi
      resources: {nvidia.com/gpu: "8"}
      region: north
      zones: [b]
      labels: {disk: ssd}
      taints: ["dedicated=gpu:NoSchedule"]

Nodes take the zones of their pool in turn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longshore.base import quantities
from longshore.cluster.config import ClusterError
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.objects.names import label_problems
from longshore.doors.kubernetes.yamlbody import read_yaml

NODES_MAX = 100_000
REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
POOL = "longshore.io/pool"
"""The label by which a node's pool is known."""
_TAINT = re.compile(r"([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)")


@dataclass(frozen=True, slots=True)
class Pool:
    """count nodes that are alike but for their zones. Amounts are quantities by resource, taints as
    a Node has them."""

    name: str
    count: int
    amounts: Mapping[str, str]
    zones: tuple[str, ...] = ()
    region: str = ""
    labels: Mapping[str, str] | None = None
    taints: tuple[Doc, ...] = ()


DEFAULT = (
    Pool("general", 3, {"cpu": "16", "memory": "64Gi", "pods": "110"}, zones=("a", "b", "c")),
)
"""The shape of nobody's cluster in particular."""


def read(file: Path) -> tuple[Pool, ...]:
    """The pools of a file. Raises ClusterError, saying which field is wrong."""
    try:
        content = read_yaml(file.read_bytes())
    except OSError as error:
        raise ClusterError(f"--shape {file}: {error.strerror}") from None
    except ApiError as error:
        raise ClusterError(f"--shape {file}: {error}") from None
    try:
        return pools(content)
    except ValueError as error:
        raise ClusterError(f"--shape {file}: {error}") from None


def pools(content: Any) -> tuple[Pool, ...]:
    """Raises ValueError."""
    given = _fields(content, "", {"pools"}).get("pools")
    if not isinstance(given, list) or not given:
        raise ValueError("pools: Required value: a list of at least one pool of nodes")
    found = tuple(_pool(one, f"pools[{number}]") for number, one in enumerate(given))
    names = [pool.name for pool in found]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValueError(f'pools[{number}].name: Duplicate value: "{name}"')
    if sum(pool.count for pool in found) > NODES_MAX:
        raise ValueError(f"pools: Invalid value: no more than {NODES_MAX:,} nodes together")
    return found


def sized(given: Sequence[Pool], total: int | None) -> list[tuple[Pool, int]]:
    """How many nodes each pool has: as it says, or of that total its share (largest remainders)."""
    counts = [pool.count for pool in given]
    if total is None:
        return list(zip(given, counts, strict=True))
    whole = sum(counts)
    shares = [count * total // whole for count in counts]
    by_rest = sorted(range(len(counts)), key=lambda at: (-(counts[at] * total % whole), at))
    for at in by_rest[: total - sum(shares)]:
        shares[at] += 1
    return list(zip(given, shares, strict=True))


def nodes(given: Sequence[Pool], total: int | None = None) -> Iterator[Doc]:
    """The nodes of all pools, ready and empty."""
    for pool, count in sized(given, total):
        for number in range(count):
            yield _node(pool, number)


def _node(pool: Pool, number: int) -> Doc:
    name = f"{pool.name}-{number}"
    labels = {"kubernetes.io/hostname": name, POOL: pool.name, **(pool.labels or {})}
    if pool.region:
        labels[REGION] = pool.region
    if pool.zones:
        labels[ZONE] = pool.zones[number % len(pool.zones)]
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": list(pool.taints)} if pool.taints else {},
        "status": {
            "capacity": dict(pool.amounts),
            "allocatable": dict(pool.amounts),
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


# --- reading ---

_POOL_FIELDS = {
    "name", "count", "cpu", "memory", "pods", "resources", "zones", "region", "labels", "taints",
}  # fmt: skip


def _pool(given: Any, at: str) -> Pool:
    fields = _fields(given, f"{at}.", _POOL_FIELDS)
    name = fields.get("name")
    if not isinstance(name, str) or label_problems(name):
        raise ValueError(f'{at}.name: Invalid value: "{name}": a DNS label names a pool')
    count = fields.get("count")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"{at}.count: Invalid value: {count!r}: how many nodes, at least 1")
    return Pool(
        name,
        count,
        _amounts(fields, at),
        zones=tuple(_texts(fields, "zones", at)),
        region=_text(fields.get("region", ""), f"{at}.region"),
        labels=_map(fields, "labels", at),
        taints=tuple(_taint(text, f"{at}.taints") for text in _texts(fields, "taints", at)),
    )


def _amounts(fields: Mapping[str, Any], at: str) -> dict[str, str]:
    said = {
        "pods": 110,
        **{name: fields[name] for name in ("cpu", "memory", "pods") if name in fields},
    }
    for name in ("cpu", "memory"):
        if name not in said:
            raise ValueError(f"{at}.{name}: Required value")
    found = {name: str(amount) for name, amount in said.items()} | _map(fields, "resources", at)
    for name, amount in found.items():
        try:
            sound = quantities.parse(amount) >= 0
        except ValueError:
            sound = False
        if not sound:
            raise ValueError(
                f'{at}.{name}: Invalid value: "{amount}": must be a quantity, such as 64Gi'
            )
    return found


def _taint(text: str, at: str) -> Doc:
    found = _TAINT.fullmatch(text)
    if found is None:
        why = "KEY=VALUE:EFFECT, where the effect is NoSchedule, PreferNoSchedule or NoExecute"
        raise ValueError(f'{at}: Invalid value: "{text}": {why}')
    key, value, effect = found.groups()
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def _fields(given: Any, at: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"{at or 'the file'}: Invalid value: must be a map")
    for name in given:
        if name not in known:
            raise ValueError(f"{at}{name}: unknown field; there are {', '.join(sorted(known))}")
    return given


def _texts(fields: Mapping[str, Any], name: str, at: str) -> list[str]:
    given = fields.get(name) or []
    if not isinstance(given, list):
        raise ValueError(f"{at}.{name}: Invalid value: must be a list")
    return [_text(one, f"{at}.{name}") for one in given]


def _map(fields: Mapping[str, Any], name: str, at: str) -> dict[str, str]:
    given = fields.get(name) or {}
    if not isinstance(given, dict):
        raise ValueError(f"{at}.{name}: Invalid value: must be a map")
    return {key: _text(value, f"{at}.{name}.{key}") for key, value in given.items()}


def _text(value: Any, at: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{at}: Invalid value: {value!r}: must be text")
    return str(value)
