"""PyPI lightkube: create, patch, watch, server-side apply with a conflict, delete."""

from __future__ import annotations

import sys

from lightkube import ApiError, Client, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap


def config_map(name: str, **data: str) -> ConfigMap:
    return ConfigMap(
        apiVersion="v1",
        kind="ConfigMap",
        metadata=ObjectMeta(name=name, namespace="default"),
        data=data,
    )


def refusal() -> str | None:
    """Why another manager may not change a field that is owned."""
    try:
        client.apply(config_map("applied", a="2"), field_manager="other")
    except ApiError as error:
        return error.status.reason
    return None


client = Client(config=KubeConfig.from_file(sys.argv[1]), field_manager="light")
client.create(config_map("light", a="1"))
client.patch(ConfigMap, "light", {"data": {"b": "2"}})
assert client.get(ConfigMap, "light").data == {"a": "1", "b": "2"}
assert "light" in [one.metadata.name for one in client.list(ConfigMap, namespace="default")]
for happened, seen in client.watch(ConfigMap, namespace="default"):
    assert happened == "ADDED", happened
    if seen.metadata.name == "light":
        break
applied = client.apply(config_map("applied", a="1"))
assert applied.metadata.managedFields[0].manager == "light"
assert refusal() == "Conflict"
forced = client.apply(config_map("applied", a="2"), field_manager="other", force=True)
assert forced.data == {"a": "2"}
for name in ("light", "applied"):
    client.delete(ConfigMap, name)
print("well")
